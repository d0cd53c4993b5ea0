"""Sending parcels over the connections of a process, and finding out over which one a broker breaks off."""

import logging
import os
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from time import monotonic

from kombu import Exchange

from outbox.errors import ForwardError, NotSent, Refused, Unavailable, Unconfirmed
from outbox.external import brokers
from outbox.external.parcels import Parcel
from outbox.external.publisher import ClosedByBroker, ConnectionGone, Publisher
from outbox.memory import Memory

log = logging.getLogger("outbox.external")


def send_parcels(
    parcels: Sequence[Parcel], exchange: Exchange, *, broker: str, until: float
) -> list[BaseException | None]:
    """Send parcels to an exchange of a broker; return of each what is wrong, None if it is confirmed."""
    with _publishers.value.lend(broker) as publisher:
        _Sending(publisher, exchange, until).send(list(_sendable(parcels)))
    return [None if parcel.confirmed else parcel.error or _left_over(parcel) for parcel in parcels]


def _left_over(parcel: Parcel) -> ForwardError | Unavailable:
    """Return what is to be said of a parcel for which there was no time left."""
    return Unconfirmed("it was not confirmed within the forward's timeout") if parcel.sent else NotSent()


def _sendable(parcels: Sequence[Parcel]) -> Iterator[Parcel]:
    """Yield what can be sent: nothing that stands behind one of its key which has failed already."""
    stopped: set[str] = set()
    for parcel in parcels:
        if parcel.error is not None:
            stopped.add(parcel.ordering_key)
        elif not parcel.ordering_key or parcel.ordering_key not in stopped:
            yield parcel


@dataclass
class _Sending:
    """Sends parcels, and finds out over which one the broker breaks off: halves of halves, until it is alone."""

    publisher: Publisher
    exchange: Exchange
    until: float
    stopped: set[str] = field(default_factory=set)
    """Ordering keys of which something was not confirmed: nothing behind it is sent."""

    def send(self, parcels: Sequence[Parcel]) -> None:
        """Send them, or note on each why it was not confirmed."""
        waiting = [list(parcels)]
        while waiting:
            group = [parcel for parcel in waiting.pop() if parcel.ordering_key not in self.stopped]
            if not group or monotonic() >= self.until:
                continue
            try:
                self._publish(group)
            except (ClosedByBroker, ConnectionGone) as error:
                left = self._left_of(group)
                if len(left) == 1 and isinstance(error, ConnectionGone):
                    self._note_outage([*left, *chain(*waiting)], error)
                    return
                if len(left) == 1:
                    left[0].error = Refused(f"the broker closes the channel over this message: {error}")
                half = (len(left) + 1) // 2
                waiting += [left[half:], left[:half]] if len(left) > 1 else []
            except Unavailable as error:
                self._note_outage([*group, *chain(*waiting)], error)
                return
            self._stop_behind_failures(group)

    def _publish(self, group: Sequence[Parcel]) -> None:
        """Publish; over a connection that was open from before, once more on a new one if it turns out to be gone."""
        had_one = self.publisher.is_open
        try:
            self.publisher.publish(group, self.exchange, until=self.until)
        except ConnectionGone as error:
            if not had_one:
                raise
            log.info("a new connection to %s is opened: %s", brokers.name_of(self.publisher.broker), error)
            self.publisher.publish(self._left_of(group), self.exchange, until=self.until)

    def _left_of(self, group: Sequence[Parcel]) -> list[Parcel]:
        self._stop_behind_failures(group)
        return [parcel for parcel in group if not parcel.is_settled and parcel.ordering_key not in self.stopped]

    def _stop_behind_failures(self, group: Sequence[Parcel]) -> None:
        self.stopped |= {parcel.ordering_key for parcel in group if parcel.error is not None and parcel.ordering_key}

    @staticmethod
    def _note_outage(group: Sequence[Parcel], error: Unavailable) -> None:
        """Say of all that are not confirmed that the broker is away; of what was sent, that it may have arrived."""
        for parcel in group:
            if not parcel.is_settled:
                parcel.error = Unconfirmed(str(error)) if parcel.sent else Unavailable(str(error))


class _Publishers:
    """The connections of a process that nobody uses at the moment."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid, self._lock = os.getpid(), threading.Lock()
        self._idle: dict[str, list[Publisher]] = defaultdict(list)

    @contextmanager
    def lend(self, broker: str) -> Iterator[Publisher]:
        """Lend a connection to a broker to whoever sends something. What was the parent's by fork is never used."""
        if self._pid != os.getpid():
            _inherited.append(self._idle)
            self._begin()
        with self._lock:
            idle = self._idle[broker]
            publisher = idle.pop() if idle else Publisher(broker)
        try:
            yield publisher
        except BaseException:
            # Whatever broke in may have stopped it in the middle of a message.
            publisher.abandon()
            raise
        finally:
            with self._lock:
                self._idle[broker].append(publisher)


_publishers = Memory(_Publishers)
_inherited: list[object] = []
