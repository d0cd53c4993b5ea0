"""What to write or to do instead: sentences that refuse something, and their ends."""

from collections.abc import Iterable
from datetime import timedelta
from difflib import get_close_matches

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured


def as_timedelta(value: object, *, wanted: object = timedelta) -> str:
    """Return what to write in place of a number of seconds; empty for others, or if no timedelta is ``wanted``."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"; write timedelta(seconds={value!r:.50})" if is_number and wanted is timedelta else ""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return a guess at what was meant by a name that nobody knows; nothing where none is near."""
    near = get_close_matches(given, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def refuse_if_not_installed() -> None:
    """Raise ``ImproperlyConfigured`` if the host's apps are known, and the outbox is none of them."""
    if apps.apps_ready and not apps.is_installed("outbox"):
        raise ImproperlyConfigured('outbox is not in INSTALLED_APPS: add "outbox" there, and run manage.py migrate')
