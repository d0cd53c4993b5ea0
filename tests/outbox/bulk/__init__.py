"""Bulk operations: frozen, previewed, carried out in chunks, watched."""
