"""Whether there is room for more of a source: its messages that are unfinished here, and the quarantine."""

from time import monotonic

from outbox.conf import conf
from outbox.external.ingest import quarantine
from outbox.models import Message, SourceHold
from outbox.sources import Source

COUNTED_AGAIN = 5.0
"""Seconds after which unfinished messages are counted again although there is room: others may receive as well."""
GOES_ON_AT = 10
"""A source that was full goes on once this part of it is free, and not for each message that is finished."""
SHARE = 20
"""How many times as long as it has taken is waited before they are counted again: 5 % of the time at most."""


class Room:
    """How many rows of one source may be written before they are counted again."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = 0
        self._quarantine_full = self._was_full = False
        self._not_before = self._at_latest = 0.0

    def why_none(self) -> SourceHold:
        """Return what there is no room in; ``NONE`` if more may be taken in. Raises what the database raises."""
        now = monotonic()
        spent = self._left <= 0 or self._quarantine_full
        if now >= self._at_latest or (spent and now >= self._not_before):
            self._look()
        if self._quarantine_full:
            return SourceHold.QUARANTINE
        return SourceHold.NONE if self._left > 0 else SourceHold.HIGH_WATER

    def take(self, rows: int) -> None:
        """Note that rows were written."""
        self._left -= rows

    def _look(self) -> None:
        began = monotonic()
        most = self._source.high_water or conf().receive_high_water
        self._left = most - count_unfinished(self._source.name, most=most)
        if self._was_full and self._left < most // GOES_ON_AT:
            self._left = 0
        self._was_full = self._left <= 0
        self._quarantine_full = quarantine.is_full()
        rest = (monotonic() - began) * SHARE
        self._not_before, self._at_latest = monotonic() + rest, monotonic() + max(rest, COUNTED_AGAIN)


def count_unfinished(source: str, *, most: int) -> int:
    """Count the unfinished messages of a source, up to ``most``: those whose keys begin with its name."""
    of_source = Message.objects.unfinished().filter(key__startswith=f"{source}:")
    return len(of_source.values_list("pk")[:most])
