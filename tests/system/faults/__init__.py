"""Whole installations whose processes, broker and database are killed, frozen and cut off."""
