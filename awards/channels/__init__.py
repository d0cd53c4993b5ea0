"""The ways in which an award is issued, one module each. A channel does the deed and leaves one row behind."""
