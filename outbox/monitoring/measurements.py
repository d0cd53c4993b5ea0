"""What is measured of the outbox as a whole, as plain values, before anybody judges it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from outbox.policy import Rate

CAP = 200_001
"""Rows counted at most of a consumer, which is exact for whatever a night brings; more are "more than 200,000"."""
BURST = timedelta(minutes=10)
"""The span within which messages that failed for good make a burst, and attempts that all fail are told of."""


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
    ``rate`` is how often the running code allows a call.
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
class Planned:
    """What is set for a chore: how much ``later`` than usual it is called, or the entry that is ``switched_off``.

    ``changed_by`` has last changed that entry in the admin, ``changed_ago``; empty if the admin does not know.
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
    sessions_seen: bool = False
    snapshot: Session | None = None
    idle: int = 0

    def plan(self, chore: str) -> Planned:
        """Return what is set for a chore, or that it is called as usual."""
        return self.plans.get(chore, Planned())
