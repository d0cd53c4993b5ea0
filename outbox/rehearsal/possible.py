"""Whether a rehearsal can be made: by this installation, and of which consumers."""

import os

from django.db import connections
from django.utils.translation import gettext as _

from outbox import registry
from outbox.conf import conf


def is_promised(consumer: str) -> bool:
    """Tell whether the consumer's author has promised that a rollback undoes what it does (``rehearsable=True``)."""
    entry = registry.get(consumer)
    return entry is not None and entry.rehearsable


def why_impossible() -> str:
    """Return why nothing can be rehearsed here, in words; empty if it can."""
    if connections[conf().database].vendor != "postgresql":
        return _("A rehearsal needs PostgreSQL: SQLite cannot refuse a COMMIT, and has one writer.")
    if "DJANGO_SETTINGS_MODULE" not in os.environ:
        return _("A rehearsal starts a process of its own, which needs DJANGO_SETTINGS_MODULE.")
    return ""
