"""Messages on their way to a broker: what has become of each, which are under way, and which has its turn next."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kombu import Exchange

from outbox.external.envelopes import Envelope

OUTSTANDING = 500
"""Messages that are under way at once, at most ..."""
OUTSTANDING_BYTES = 4 * 1024 * 1024
"""... and how long their bodies are together, but for a single one that is longer."""


@dataclass(eq=False, slots=True)
class Parcel:
    """One message on its way: what is sent, and what has become of it."""

    envelope: Envelope
    routing_key: str
    ordering_key: str = ""
    sent: bool = False
    """Whether it was given to a broker that has not said what became of it."""
    error: BaseException | None = None
    confirmed: bool = False

    @property
    def is_settled(self) -> bool:
        """Tell whether it is known what has become of it."""
        return self.confirmed or self.error is not None


@dataclass
class UnderWay:
    """What was published and not confirmed, by tag, and what has its turn next."""

    exchange: Exchange
    by_tag: dict[int, Parcel] = field(default_factory=dict)
    returned: set[Any] = field(default_factory=set)
    """Ids of messages that came back; the broker confirms them right after."""
    ready: deque[Parcel] = field(default_factory=deque)
    behind: dict[str, deque[Parcel]] = field(default_factory=dict)
    size: int = 0

    def line_up(self, parcels: Iterable[Parcel]) -> None:
        """Let the first of each ordering key, and all without one, have their turn."""
        for parcel in parcels:
            key = parcel.ordering_key
            if key and key in self.behind:
                self.behind[key].append(parcel)
                continue
            if key:
                self.behind[key] = deque()
            self.ready.append(parcel)

    def begin(self, tag: int, parcel: Parcel) -> None:
        """Note that a message is on its way."""
        self.by_tag[tag] = parcel
        self.size += len(parcel.envelope.body)
        parcel.sent = True

    def has_room_for(self, parcel: Parcel) -> bool:
        """Tell whether it may be published now."""
        fits = self.size + len(parcel.envelope.body) <= OUTSTANDING_BYTES
        return not self.by_tag or (len(self.by_tag) < OUTSTANDING and fits)
