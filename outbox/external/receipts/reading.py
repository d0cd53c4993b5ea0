"""The receiver of receipts: as that of any source, but what comes is applied to our messages, and nothing is kept."""

import threading
from collections.abc import Sequence

from outbox.external.ingest import tallies
from outbox.external.ingest.feed import Delivery
from outbox.external.ingest.holds import Room
from outbox.external.ingest.receiver import TRIES, Receiver
from outbox.external.ingest.taking_in import TakenIn
from outbox.external.receipts import taking_in
from outbox.models import SourceHold
from outbox.sources import Source


class _RoomForAll(Room):
    """Receipts write no rows of ours, so there is always room for more."""

    def why_none(self) -> SourceHold:
        """Return that there is room."""
        return SourceHold.NONE


def receiver_for(source: Source, stopping: threading.Event) -> Receiver:
    """Return what receives a source: messages are taken in, receipts are applied."""
    return Receiver(source, stopping) if source.receipts_of is None else ReceiptReceiver(source, stopping)


class ReceiptReceiver(Receiver):
    """Applies the receipts of a queue until ``stopping`` is set."""

    def __init__(self, source: Source, stopping: threading.Event) -> None:
        super().__init__(source, stopping)
        self._room = _RoomForAll(source)

    def _take(self, batch: Sequence[Delivery]) -> TakenIn:
        """Apply a batch. What the database refuses alone, again and again, is counted and let go."""
        if self._one_by_one and self._tries >= TRIES:
            taking_in.refuse(self._refusal)
            return TakenIn(known=1)
        changed, unchanged = taking_in.take_in(self._source, [one.incoming for one in batch])
        tallies.count(self._source.name, taken=changed, known=unchanged, quarantined=0)
        return TakenIn(changed, unchanged)
