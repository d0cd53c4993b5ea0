"""Makegood with the settings that it ships, and consumers that do the work."""
