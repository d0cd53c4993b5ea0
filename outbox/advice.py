"""What to write instead: the ends of sentences that refuse something."""

from collections.abc import Iterable
from datetime import timedelta
from difflib import get_close_matches


def as_timedelta(value: object, *, wanted: object = timedelta) -> str:
    """Return what to write in place of a number of seconds; empty for others, or if no timedelta is ``wanted``."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"; write timedelta(seconds={value!r:.50})" if is_number and wanted is timedelta else ""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return a guess at what was meant by a name that nobody knows; nothing where none is near."""
    near = get_close_matches(given, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
