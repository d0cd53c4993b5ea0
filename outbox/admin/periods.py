"""How far back a list looks: a few spans, by the moment that matters in it."""

from collections.abc import Mapping
from datetime import timedelta

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

PERIODS: Mapping[str, tuple[Promise, timedelta | None]] = {
    "": (_("Any time"), None),
    "1h": (_("The last hour"), timedelta(hours=1)),
    "12h": (_("The last 12 hours"), timedelta(hours=12)),
    "24h": (_("The last 24 hours"), timedelta(hours=24)),
    "7d": (_("The last 7 days"), timedelta(days=7)),
}


def span_of(name: str) -> timedelta | None:
    """Return the span of that name; None for any time, and for a name that is none."""
    return PERIODS.get(name, PERIODS[""])[1]
