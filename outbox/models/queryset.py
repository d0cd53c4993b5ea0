"""The vocabulary of the engine: which messages, and what becomes of them."""

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from django.db.models import Case, Exists, F, Q, Value, When
from django.db.models.functions import Least, Now

from outbox.models.sql.conditions import Given, Ints, IsHeadOfKey, KeyHeld, Ours
from outbox.models.state import ConsumerState, EngineQuerySet
from outbox.models.status import Resolution, Status
from outbox.policy import Reason

if TYPE_CHECKING:
    from outbox.models.message import Message  # noqa: F401  # the base class below names it


EXHAUSTED = Q(exhausted_at__isnull=False)
"""What waits for a person."""
UNSETTLED = Q(finished_at__isnull=True) | EXHAUSTED
"""What is not over: a worker or a person still has it to do."""
CLOSED_BY_HAND = Q(resolution__in=[Resolution.HANDLED, Resolution.DISCARDED])
"""What can be reopened."""


class Fence(NamedTuple):
    """What a worker holds: the row and the attempt it started. Whoever settles must still hold both."""

    id: int
    attempts: int
    ordering_key: str = ""
    """The key in whose order it stands, so that what stands behind it in a chunk is known without another look."""


def made_due(after_a_call: timedelta) -> dict[str, Any]:
    """Return what changes in a row that waited for its own time and is due now; see ``MessageQuerySet.make_due``."""
    then = Case(When(attempts=0, then=Now()), default=Least(F("not_before"), Now() + after_a_call))
    asleep = When(~Q(ordering_key=""), then=F("due_at"))
    return {"not_before": then, "due_at": Case(asleep, default=Least(then, F("expires_at"))), "sends": 0}


def may_still_run(after_a_call: timedelta) -> Q:
    """Keep what a call that was given up may still be at: by ``hold_back`` it holds its row back, a lease at a time."""
    return Q(not_before__gt=Now(), not_before__lte=Now() + after_a_call)


class MessageQuerySet(EngineQuerySet["Message"]):
    """The vocabulary of the engine: which rows, and what becomes of them. All times are the database's."""

    def unfinished(self) -> Self:
        """Keep what is pending or started."""
        return self.filter(finished_at__isnull=True)

    def due(self, *, within: timedelta = timedelta(0)) -> Self:
        """Keep what the rescan must look at now, or ``within`` a span from now; oldest first."""
        return self.unfinished().filter(due_at__lte=Now() + within).order_by("due_at", "id")

    def due_since(self) -> Self:
        """Keep what is not due before a time that the SQL is given when it runs."""
        return self.filter(due_at__gte=Value(Given.SINCE))

    def pending(self) -> Self:
        """Keep what may be started as far as its own row says."""
        return self.filter(status=Status.PENDING, not_before__lte=Now(), expires_at__gt=Now())

    def at_head(self) -> Self:
        """Keep what has no ordering key, or stands first among the unsettled of its consumer and key."""
        return self.filter(Q(ordering_key="") | Q(IsHeadOfKey()))

    def with_key_free(self) -> Self:
        """Keep what has no ordering key, or one of which no message is started: not even a later one."""
        return self.filter(Q(ordering_key="") | ~Q(KeyHeld()))

    def admitted(self, consumer: str, *, canary: bool) -> Self:
        """Keep nothing while the consumer is paused or its breaker open, but for the ``canary`` where that is asked."""
        states = ConsumerState.objects.filter(consumer=consumer)
        flows = Q(~Exists(states.open()))
        if canary:
            flows = flows | Q(pk__in=states.open().filter(canary__isnull=False).values("canary"))
        return self.filter(~Exists(states.paused()), flows)

    def lease_over(self) -> Self:
        """Keep what was started by a worker whose time is up."""
        return self.filter(status=Status.STARTED, lease_until__lt=Now())

    def held(self, fences: Iterable[Fence]) -> Self:
        """Keep the rows that are still ours: started, and by no later attempt than our own."""
        held = list(fences)
        return self.still_ours([fence.id for fence in held], [fence.attempts for fence in held])

    def still_ours(self, ids: Ints = Given.IDS, attempts: Ints = Given.ATTEMPTS) -> Self:
        """Keep the same, said in two lists; without them, as SQL that is given them when it runs."""
        return self.filter(Ours(ids, attempts), status=Status.STARTED)

    def exhausted(self) -> Self:
        """Keep what waits for a person."""
        return self.filter(EXHAUSTED)

    def prunable(self, *, older_than: timedelta) -> Self:
        """Keep what was settled longer ago than ``older_than``: never the unfinished, never the exhausted."""
        settled = self.filter(finished_at__isnull=False, exhausted_at__isnull=True)
        return settled.filter(finished_at__lt=Now() - older_than).order_by("finished_at")

    def put_to_sleep(self) -> int:
        """Let rows that stand behind another of their key be looked at no more before their deadline.

        Whoever settles the head wakes the next; see ``outbox.models.sql.order``.
        """
        return self.filter(status=Status.PENDING).exclude(ordering_key="").update(due_at=F("expires_at"))

    def hold_key(self) -> int:
        """Let these started rows hold their ordering keys, as those have let go that held them before.

        They are due from now on, so that the rescan finds them, and with them what was started behind them.
        """
        return self.filter(status=Status.STARTED).exclude(ordering_key="").update(holds_key=True, due_at=Now())

    def renew(self, lease: timedelta) -> int:
        """Let what is started belong to its worker for another ``lease`` from now."""
        return self.filter(status=Status.STARTED).update(lease_until=Now() + lease)

    def mark_sent(self, receipt: timedelta) -> int:
        """Let what is started belong to no worker any more, but to its receiver, for a ``receipt`` from now.

        No search for due rows comes across it before that.
        """
        then = Now() + receipt
        return self.filter(status=Status.STARTED).update(due_at=then, lease_until=then, worker="")

    def mark_consumed(self) -> int:
        """Unfinished or exhausted → success, as its receiver has said; what a person has closed stays."""
        return self.filter(UNSETTLED).update(
            status=Status.SUCCESS,
            finished_at=Now(),
            exhausted_at=None,
            lease_until=None,
            holds_key=False,
            lost=0,
            reason="",
            last_error="",
        )

    def mark_pending(self, *, wait: timedelta, free: bool, lost: int, error: str | None) -> int:
        """Started → pending, not before ``wait`` from now. A ``free`` one raises the limit; None keeps the error.

        Without a wait it keeps its place among the others: what was given back is the oldest again. What was started
        behind another of its ordering key goes back to sleep; see ``outbox.models.sql.order``.
        """
        changes: dict[str, object] = {"last_error": error} if error is not None else {}
        # SQLite writes the sum with more digits, so that even now + 0 is later than now until the millisecond is over.
        then = Now() + wait if wait else Now()
        # The rescan must see the deadline pass, however long the wait.
        in_its_place = Case(
            When(~Q(ordering_key="") & Q(holds_key=False), then=F("expires_at")),
            default=Least(F("due_at"), then, F("expires_at")),
        )
        due_at = Least(then, F("expires_at")) if wait else in_its_place
        return self.filter(status=Status.STARTED).update(
            status=Status.PENDING,
            attempt_limit=F("attempt_limit") + (1 if free else 0),
            not_before=then,
            due_at=due_at,
            lease_until=None,
            holds_key=False,
            lost=lost,
            **changes,
        )

    def mark_failed(self, *, reason: Reason, failure: str, error: str | None = None, lost: int | None = None) -> int:
        """Unfinished → failed: exhausted, and visible until a person has handled it. None keeps error and losses."""
        changes: dict[str, object] = {"last_error": error} if error is not None else {}
        if lost is not None:
            changes["lost"] = lost
        return self.unfinished().update(
            status=Status.FAILED,
            finished_at=Now(),
            exhausted_at=Now(),
            lease_until=None,
            holds_key=False,
            reason=reason,
            failure=failure,
            **changes,
        )

    def close_as_overdue(self) -> int:
        """Pending → failed and closed: its deadline has passed, and nobody has anything to do with it."""
        return self.filter(status=Status.PENDING).update(
            status=Status.FAILED, finished_at=Now(), reason=Reason.EXPIRED, resolution=Resolution.OVERDUE
        )

    def close_as_withdrawn(self) -> int:
        """Pending → failed and closed: whoever wanted it has taken it back, and nobody has anything to do with it."""
        return self.filter(status=Status.PENDING).update(
            status=Status.FAILED, finished_at=Now(), resolution=Resolution.WITHDRAWN
        )

    def withdrawn(self) -> Self:
        """Keep what was taken back before it was ever started: publishing it again makes it anew."""
        return self.filter(resolution=Resolution.WITHDRAWN, attempts=0)

    def delayed(self) -> Self:
        """Keep what waits for its own time: published with a delay, or between two attempts."""
        return self.unfinished().filter(status=Status.PENDING, not_before__gt=Now())

    def make_due(self, *, after_a_call: timedelta) -> int:
        """Let what waits for its own time be due now, or ``after_a_call`` from now at the latest if it was started.

        A call for it that was given up may still run; see ``hold_back``. What has an ordering key may stand behind
        another and sleep: whoever calls this wakes the heads of the keys.
        """
        return self.delayed().update(**made_due(after_a_call), revision=F("revision") + 1)
