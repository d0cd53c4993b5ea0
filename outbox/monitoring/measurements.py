"""What is measured of the outbox as a whole, as plain values, before anybody judges it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from outbox.broker.watching import BrokerLook
from outbox.policy import Rate

if TYPE_CHECKING:
    from outbox.monitoring.books import BookMeasurements
    from outbox.monitoring.gaps import SequenceMeasurements
    from outbox.monitoring.receipts import ReceiptMeasurements

CAP = 200_001
"""Rows counted at most of a consumer, which is exact for whatever a night brings; more are "more than 200,000"."""
BURST = timedelta(minutes=10)
"""The span within which messages that failed for good make a burst, and attempts that all fail are told of."""


OUTDATED_AFTER = timedelta(seconds=60)
"""Age at which nothing of a look is said any more, but that it is old."""


@dataclass(frozen=True, slots=True)
class HeldKey:
    """An ordering key that a failed message holds, for how long, and how many wait behind it (up to ``CAP``)."""

    key: str
    message: int
    held_for: timedelta
    behind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerMeasurements:
    """One consumer: what waits for it, how long, and what holds it back. Counts end at ``CAP``.

    ``held`` is the ordering key that a failed message has held for longest, ``held_keys`` how many are held.

    ``succeeded`` and ``failed_attempts`` are those of the last ``BURST``, from the figures per minute. ``places``,
    ``taken`` and ``stuck`` are of all worker processes that have lately said how many calls they make at once;
    ``rate`` is how often the running code allows a call. ``not_ready`` is the message that is tried next, where the
    oldest has waited for too long and the consumer was not ready for that one.
    """

    name: str
    in_code: bool = True
    pending: int = 0
    started: int = 0
    oldest: timedelta | None = None
    exhausted: int = 0
    new_exhausted: int = 0
    succeeded: int = 0
    failed_attempts: int = 0
    paused_for: timedelta | None = None
    paused_by: str = ""
    paused_reason: str = ""
    resumes_in: timedelta | None = None
    breaker_open: bool = False
    probe_in: timedelta | None = None
    gone_for: timedelta | None = None
    places: int = 0
    taken: int = 0
    stuck: int = 0
    rate: Rate | None = None
    next_call_in: timedelta | None = None
    not_ready: int | None = None
    held: HeldKey | None = None
    held_keys: int = 0

    @property
    def depth(self) -> int:
        """Messages that are not finished."""
        return self.pending + self.started


@dataclass(frozen=True, slots=True)
class DoubleIssue:
    """A message that was issued by hand, as ``evidence`` says, and by the machine as well."""

    message: int
    consumer: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Session:
    """A database session, as PostgreSQL shows it to us, how old its transaction is, and how many have come since."""

    pid: int
    who: str
    age: timedelta
    transactions: int


@dataclass(frozen=True, slots=True)
class ChainMeasurements:
    """What is known of the audit's chain: up to which entry it was whole, how long ago, and where it breaks (or 0)."""

    whole_to: int = 0
    checked_ago: timedelta | None = None
    broken: int = 0


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """How many dead letters came from a queue, and why."""

    reason: str
    queue: str
    letters: int


@dataclass(frozen=True, slots=True)
class BrokerMeasurements:
    """The last look, how long ago it was (None: never), what grows since when, and the dead letters.

    ``growing`` has, by queue, how much was ready when it began to grow.
    """

    look: BrokerLook = field(default_factory=BrokerLook)
    looked: timedelta | None = None
    growing: Mapping[str, int] = field(default_factory=dict)
    dead: tuple[DeadGroup, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the look is fresh, and the broker has answered it."""
        return self.looked is not None and self.looked <= OUTDATED_AFTER and not self.look.away

    @property
    def dead_letters(self) -> int:
        """How many dead letters there are, as far as they are read."""
        return sum(group.letters for group in self.dead)


@dataclass(frozen=True, slots=True)
class HalfMeasurements:
    """The half messages of one check that are not settled, and how long ago the oldest question was due (or None)."""

    check: str
    open: int = 0
    unknown: int = 0
    overdue: timedelta | None = None


@dataclass(frozen=True, slots=True)
class SourceMeasurements:
    """How a source stands, as its receivers have said, and what of it is quarantined and waits for a person.

    ``said_ago`` is None if no receiver has ever said anything; ``hold`` is a ``SourceHold``, and ``said`` its details.
    """

    name: str
    queue: str = ""
    said_ago: timedelta | None = None
    taken_ago: timedelta | None = None
    hold: str = ""
    held_for: timedelta = timedelta(0)
    said: str = ""
    taken: int = 0
    known: int = 0
    quarantined: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """What is set in beat's tables for a chore: that it is called as usual, more seldom, or not at all.

    ``later`` is how much longer than usual it is between two calls. ``switched_off`` is the name of the entry that a
    person has disabled; empty if it is enabled. ``changed_by`` is who last changed that entry in the admin, and
    ``changed_ago`` how long ago; empty and None if the admin does not know, or nobody asked it.
    """

    later: timedelta = timedelta(0)
    switched_off: str = ""
    changed_by: str = ""
    changed_ago: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Everything that was measured. ``chores`` are the ages of each chore's last success, None if it had none.

    ``known_for`` is how long ago the first rescan succeeded: from then on the chores are expected.
    ``cause`` says why the rescan is overdue, or why workers do it in place of others (``covered`` ago).
    ``refused`` is what the broker said of queues that it refused at the last rescan, and of us if the name is empty.
    ``distrusted`` is why there was no TLS with the broker then.
    ``failing`` is, by consumer, what went wrong in the last rescan; the empty name is a search for all of them.
    ``dropped`` is, by queue, why the broker has thrown hints away.
    ``double_issues`` are those that nobody has acknowledged, the oldest first, ``CAP`` at most.
    ``broker`` is what the last look at it has seen, None where nobody asks for it.
    ``plans`` has what is set for each chore, where that is known.
    """

    consumers: tuple[ConsumerMeasurements, ...] = ()
    rescan: timedelta | None = None
    known_for: timedelta = timedelta(0)
    cause: str = ""
    covered: timedelta | None = None
    broker_away: bool = False
    alarmed: bool = False
    distrusted: str = ""
    refused: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    failing: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    maintenance_jobs: Mapping[str, timedelta | None] = field(default_factory=dict)
    plans: Mapping[str, Planned] = field(default_factory=dict)
    behind: timedelta = timedelta(0)
    failed_channels: tuple[str, ...] = ()
    protected: int = 0
    exhausted: int = 0
    double_issues: tuple[DoubleIssue, ...] = ()
    chain: ChainMeasurements = ChainMeasurements()
    broker: BrokerMeasurements | None = None
    sources: tuple[SourceMeasurements, ...] = ()
    quarantine_bytes: int = 0
    receipts: "tuple[ReceiptMeasurements, ...]" = ()
    books: "tuple[BookMeasurements, ...]" = ()
    sequences: "SequenceMeasurements | None" = None
    sessions_seen: bool = False
    snapshot: Session | None = None
    idle: int = 0
    halves: tuple[HalfMeasurements, ...] = ()

    def plan(self, chore: str) -> Planned:
        """Return what is set for a chore, or that it is called as usual."""
        return self.plans.get(chore, Planned())
