"""The backend itself, as Django looks for it."""

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL, under another name."""
