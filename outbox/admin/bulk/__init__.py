"""Bulk operations on the desk: prepared from a list, previewed, started, watched."""
