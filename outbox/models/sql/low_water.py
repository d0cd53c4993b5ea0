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
    """The database's time, where everything is searched and somebody has asked for it."""
    began: float


@dataclass(slots=True)
class _Mark:
    due_at: datetime
    everything_at: float


class LowWater:
    """What one process knows about the lowest due time of every consumer.

    With ``asks_time`` a search of everything that found nothing leaves a mark, too, for one statement more.
    """

    def __init__(self, *, asks_time: bool = True) -> None:
        self._asks_time = asks_time
        self._marks: dict[str, _Mark] = {}

    def begin(self, consumer: str) -> Search:
        """Return where the next search begins; on SQLite, which leaves nothing behind, always at the beginning."""
        connection, now = connections[conf().database], monotonic()
        mark = self._marks.get(consumer)
        if mark is not None and now < mark.everything_at:
            return Search(consumer, mark.due_at, None, now)
        if connection.vendor == "sqlite" or not self._asks_time:
            return Search(consumer, None, None, now)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {clock_of(connection).now}")
            (began_at,) = cursor.fetchone()
        return Search(consumer, None, began_at, monotonic())

    def learn(self, search: Search, due_times: Collection[datetime], *, full: bool) -> None:
        """Note what a search has found; ``full`` if it ended because it had found as much as it wanted."""
        times = [*due_times, *([] if full or search.began_at is None else [search.began_at])]
        if not times or connections[conf().database].vendor == "sqlite":
            return
        now = monotonic()
        if search.since is None:
            rest = min(max(EVERYTHING_EVERY, DUTY * (now - search.began)), EVERYTHING_WITHIN)
            self._marks[search.consumer] = _Mark(min(times), now + rest)
        elif full and (mark := self._marks.get(search.consumer)) is not None:
            mark.due_at = min(due_times)
