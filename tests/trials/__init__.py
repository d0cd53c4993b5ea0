"""Calls to a vendor counted in great numbers, in his own book: ``make trials``."""
