"""The table of the work."""
