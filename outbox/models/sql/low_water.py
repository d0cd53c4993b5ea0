"""Where the search for due rows may begin, so that it does not read again what is settled.

A row that is settled leaves its place in the index of due times behind, until it is cleaned up; while somebody holds a
snapshot (a report, a dump, a forgotten session) nothing is. Each search would read all such places from the oldest on.

What is written is due from now on at the earliest, so behind a search that found nothing older, only rows can turn up
that were written before it and committed after it, given back, or passed over because another worker had locked them.
Such rows wait for the next search of everything: in a second, or in twenty times what the last one took.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from django.db import connections

from outbox.conf import conf
from outbox.models.sql.clock import clock_of

EVERYTHING_EVERY = 1.0
"""Seconds from one search of everything to the next, at least."""
DUTY = 20
"""Everything is searched at most a 20th of the time, …"""
EVERYTHING_WITHIN = 30.0
"""… but after so many seconds in any case."""


@dataclass(slots=True)
class Search:
    """One search of a consumer's due rows: from which due time on, and what had struck by its beginning."""

    consumer: str
    since: datetime | None
    """None: from the beginning."""
    began_at: datetime | None
    """The database's time, where everything is searched."""
    began: float


@dataclass(slots=True)
class _Mark:
    due_at: datetime
    everything_at: float


class LowWater:
    """What one process knows about the lowest due time of every consumer."""

    def __init__(self) -> None:
        self._marks: dict[str, _Mark] = {}

    def begin(self, consumer: str) -> Search:
        """Return where the next search begins; on SQLite, which leaves nothing behind, always at the beginning."""
        connection, now = connections[conf().database], monotonic()
        mark = self._marks.get(consumer)
        if mark is not None and now < mark.everything_at:
            return Search(consumer, mark.due_at, None, now)
        if connection.vendor == "sqlite":
            return Search(consumer, None, None, now)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {clock_of(connection).now}")
            (began_at,) = cursor.fetchone()
        return Search(consumer, None, began_at, monotonic())

    def learn(self, search: Search, due_times: Collection[datetime], *, full: bool) -> None:
        """Note what a search has found; ``full`` if it ended because it had found as much as it wanted."""
        if search.began_at is not None:
            now = monotonic()
            rest = min(max(EVERYTHING_EVERY, DUTY * (now - search.began)), EVERYTHING_WITHIN)
            self._marks[search.consumer] = _Mark(
                min(due_times) if full else min([*due_times, search.began_at]), now + rest
            )
        elif full and (mark := self._marks.get(search.consumer)) is not None:
            mark.due_at = min(due_times)
