"""Somebody else's slow HTTP service, which keeps a book of who called when: what the part ``outside`` calls."""
