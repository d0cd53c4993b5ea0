"""One source: take what its broker sends, write it down, acknowledge it; stop in time, and go on by itself.

What is in hand was delivered and is not settled. It is acknowledged once the transaction that settles it has
committed, on the channel that delivered it; when that is gone, so is what was in hand, and it is delivered again.
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from time import monotonic
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connections

from outbox.conf import conf
from outbox.delivery.database_errors import Fault, judge
from outbox.errors import BrokerAway, BrokerRefuses
from outbox.external.ingest import in_hand, tallies
from outbox.external.ingest.ahead import reading_ahead
from outbox.external.ingest.feed import PREFETCH, Delivery, Feed
from outbox.external.ingest.holds import Room
from outbox.external.ingest.reading import say, whole_digest
from outbox.external.ingest.taking_in import TakenIn, refuse, take_in
from outbox.models import QuarantineReason, SourceHold
from outbox.models.sql.errors import is_too_slow, was_held_up
from outbox.sources import Source

log = logging.getLogger("outbox.ingest")

BATCH = 200
"""Messages that are taken in by one transaction at most."""
BUSY = 20
"""Messages of a batch from which on the next one is read while this one is written."""
LINGER = 0.02
"""Seconds for which a batch is waited for once its first message is there."""
PATIENCE = 0.5
"""Seconds that are waited for a first message before the receiver looks whether it is told to stop."""
PAUSE = 1.0
"""Seconds between two looks whether what holds the source up is over."""
SAY_EVERY = 2.0
"""Seconds between two notes in the database that the receiver lives."""
HELD_FOR = timedelta(minutes=15)
"""How long messages are kept in hand that cannot be settled. RabbitMQ closes the channel after 30 min; and what is
given back counts as delivered, of which a queue of the sender's may allow only so many."""
TRIES = 5
"""How often the same is tried at a database that is there and refuses it."""
DRIVER_ERRORS = (DatabaseError, InterfaceError)

_alone = threading.Lock()
"""Of all threads one has a message alone in hand: so it is known over which one the process ends."""


class Receiver:
    """Takes in one source until ``stopping`` is set, in the thread that calls ``run``; a second one reads ahead."""

    def __init__(self, source: Source, stopping: threading.Event) -> None:
        self._source = source
        self._stopping = stopping
        self._feed = Feed(source)
        self._room = Room(source)
        self._in_hand: list[Delivery] = []
        self._one_by_one = False
        self._tries = 0
        self._noted: set[UUID] = set()
        self._hold = SourceHold.NONE
        self._held_since = 0.0
        self._said_at, self._said = 0.0, ""
        self._refusal = ""

    def run(self) -> None:
        """Take in what comes, whatever happens at the broker and at the database."""
        try:
            while not self._stopping.is_set():
                if not self._may_go_on():
                    self._stopping.wait(PAUSE)
                    continue
                try:
                    self._feed.open()
                    log.info("%s: receiving from the queue %s", self._source.name, self._source.queue)
                    self._receive()
                except BrokerAway as error:
                    self._note(_hold_by(error), str(error))
                    self._stopping.wait(PAUSE)
                finally:
                    self._give_back()
            self._note(SourceHold.STOPPED)
        finally:
            connections[conf().database].close()

    def _receive(self) -> None:
        """Take in until told to stop, or until what is in hand must go back.

        One at a time at first, as long as what comes was delivered before: one of them may have ended its receiver.
        """
        prefetch = 1
        while not self._stopping.is_set():
            if not self._settle_in_hand() or not self._may_go_on():
                if not self._wait():
                    return
                continue
            self._held_since = 0.0
            self._feed.consume(prefetch=prefetch)
            self._in_hand = self._feed.gather(most=BATCH, patience=PATIENCE, wait=LINGER)
            if prefetch == 1 and self._in_hand and not self._in_hand[0].incoming.redelivered:
                # Before this one is acknowledged: until then nothing else is on its way, which would be sent back.
                prefetch = PREFETCH
                self._feed.consume(prefetch=prefetch)
            self._note(SourceHold.NONE, self._feed.drops_after)
        self._finish()

    def _finish(self) -> None:
        """Settle what was delivered already, so that a restart has hardly anything delivered again."""
        self._feed.stop_consuming()
        while self._settle_in_hand():
            self._in_hand = self._feed.gather(most=BATCH, patience=0, wait=0)
            if not self._in_hand:
                return

    def _may_go_on(self) -> bool:
        """Tell whether there is room for more; what there is not is noted."""
        try:
            hold = self._room.why_none()
        except DRIVER_ERRORS as error:
            judge(error)
            hold = SourceHold.DATABASE
        if hold:
            self._note(hold)
        return not hold

    def _wait(self) -> bool:
        """Consume nothing for a moment. False if what is in hand was kept for too long, and is to go back."""
        self._feed.stop_consuming()
        self._held_since = self._held_since or monotonic()
        if monotonic() - self._held_since > HELD_FOR.total_seconds():
            log.warning("%s: what was delivered and cannot be settled goes back to its queue", self._source.name)
            return False
        self._feed.pump(PAUSE)
        return True

    def _settle_in_hand(self) -> bool:
        """Settle all that is in hand and acknowledge it; False if that must wait."""
        while self._in_hand:
            batch = self._in_hand[:1] if self._one_by_one else self._in_hand
            try:
                outcome = self._take(batch)
            except DRIVER_ERRORS as error:
                if not self._try_again(error):
                    return False
                continue
            self._tries = 0
            self._acknowledge(batch, outcome)
            if outcome.left:
                self._note(SourceHold.QUARANTINE)
                return False
        self._one_by_one = False
        return True

    def _acknowledge(self, batch: Sequence[Delivery], outcome: TakenIn) -> None:
        """Acknowledge what is settled, and keep in hand what the quarantine has no room for."""
        self._room.take(outcome.rows)
        left = {id(one.incoming) for one in outcome.left}
        rest = self._in_hand[len(batch) :]
        settled = [one for one in batch if id(one.incoming) not in left]
        self._in_hand = [*(one for one in batch if id(one.incoming) in left), *rest]
        self._feed.ack(settled, all_before=not self._in_hand)

    def _take(self, batch: Sequence[Delivery]) -> TakenIn:
        """Take a batch in. What was delivered before, or is refused by the database alone, stands by itself."""
        first = batch[0].incoming
        if self._one_by_one and self._tries >= TRIES:
            return refuse(self._source, first, QuarantineReason.NOT_STORABLE, self._refusal)
        if not first.redelivered:
            found = [one.found for one in batch]
            return take_in(self._source, [one.incoming for one in batch], found, self._reading_ahead(batch))
        digest = whole_digest(first)
        with _alone:
            if not in_hand.take_up(digest, self._noted):
                return refuse(self._source, first, QuarantineReason.ENDS_RECEIVER)
            self._noted.add(digest)
            outcome = take_in(self._source, [first], alone=digest)
        self._noted.discard(digest)
        return outcome

    def _reading_ahead(self, batch: Sequence[Delivery]) -> AbstractContextManager[None]:
        """Have the next batch be read meanwhile, if there is as much to do as pays for a thread."""
        if len(batch) < BUSY:
            return nullcontext()
        return reading_ahead(self._feed, self._source, most=BATCH)

    def _try_again(self, error: BaseException) -> bool:
        """Tell whether to try again at once what the database has refused; False if it is away, or others hold it up.

        A batch that it refuses is taken one by one. The message that it refuses alone goes into quarantine: not what
        was only held up, which is no fault of any message.
        """
        if judge(error) is Fault.DATABASE or was_held_up(error):
            self._one_by_one = self._one_by_one or is_too_slow(error)
            self._note(SourceHold.DATABASE, say(error))
            return False
        if self._tries >= 2 * TRIES:
            # Not even the quarantine takes it.
            self._note(SourceHold.DATABASE, say(error))
            self._tries = TRIES
            return False
        self._tries += 1
        self._refusal = say(error)
        if self._tries >= TRIES and not self._one_by_one:
            self._one_by_one, self._tries = True, 0
        log.warning("%s: the database has refused what came: %s", self._source.name, self._refusal)
        return not self._stopping.wait(0.1 * self._tries)

    def _give_back(self) -> None:
        """Close the channel: what is in hand is delivered again, to whoever consumes next."""
        self._feed.close()
        self._in_hand, self._one_by_one, self._tries, self._held_since = [], False, 0, 0.0

    def _note(self, hold: SourceHold, said: str = "") -> None:
        """Write down how the source stands, when that changes and every two seconds; the log has the changes."""
        changed = hold != self._hold
        if changed:
            level = logging.INFO if hold in (SourceHold.NONE, SourceHold.STOPPED) else logging.WARNING
            log.log(level, "%s: held up by: %s %s", self._source.name, hold.label, said)
            self._hold = hold
        if not changed and monotonic() - self._said_at < SAY_EVERY:
            return
        self._said_at, self._said = monotonic(), said or ("" if changed else self._said)
        try:
            tallies.say(self._source.name, hold, self._said)
            connections[conf().database].close_if_unusable_or_obsolete()
        except DRIVER_ERRORS as error:
            judge(error)


def _hold_by(error: BrokerAway) -> SourceHold:
    return SourceHold.REFUSED if isinstance(error, BrokerRefuses) else SourceHold.BROKER
