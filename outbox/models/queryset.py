"""The vocabulary of the engine: which messages, and what becomes of them."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, Self

from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Least, Now

from outbox.models.sql.conditions import Given, Ints, Ours
from outbox.models.state import ConsumerState, EngineQuerySet
from outbox.models.status import Status
from outbox.policy import Reason

if TYPE_CHECKING:
    from outbox.models.message import Message  # noqa: F401  # the base class below names it


class Fence(NamedTuple):
    """What a worker holds: the row and the attempt it started. Whoever settles must still hold both."""

    id: int
    attempts: int


class MessageQuerySet(EngineQuerySet["Message"]):
    """The vocabulary of the engine: which rows, and what becomes of them. All times are the database's."""

    def unfinished(self) -> Self:
        """Keep what is pending or started."""
        return self.filter(finished_at__isnull=True)

    def consumers(self) -> Iterator[str]:
        """Walk an index that leads with the consumer from name to name, without reading the rows between."""
        names = self.order_by("consumer").values_list("consumer", flat=True)
        name = names.first()
        while name is not None:
            yield name
            name = names.filter(consumer__gt=name).first()

    def due(self, *, within: timedelta = timedelta(0)) -> Self:
        """Keep what the rescan must look at now, or ``within`` a span from now; oldest first."""
        return self.unfinished().filter(due_at__lte=Now() + within).order_by("due_at", "id")

    def pending(self) -> Self:
        """Keep what may be started as far as its own row says."""
        return self.filter(status=Status.PENDING, not_before__lte=Now(), expires_at__gt=Now())

    def at_head(self) -> Self:
        """Keep what has no ordering key, or stands first among the unsettled of its consumer and key."""
        ahead = self.model.objects.filter(
            Q(finished_at__isnull=True) | Q(exhausted_at__isnull=False),
            consumer=OuterRef("consumer"),
            ordering_key=OuterRef("ordering_key"),
            id__lt=OuterRef("id"),
        ).exclude(ordering_key="")
        return self.filter(Q(ordering_key="") | ~Exists(ahead))

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
        return self.filter(exhausted_at__isnull=False)

    def prunable(self, *, older_than: timedelta) -> Self:
        """Keep what was settled longer ago than ``older_than``: never the unfinished, never the exhausted."""
        settled = self.filter(finished_at__isnull=False, exhausted_at__isnull=True)
        return settled.filter(finished_at__lt=Now() - older_than).order_by("finished_at")

    def renew(self, lease: timedelta) -> int:
        """Let what is started belong to its worker for another ``lease`` from now."""
        return self.filter(status=Status.STARTED).update(lease_until=Now() + lease)

    def mark_pending(self, *, wait: timedelta, free: bool, lost: int, error: str | None) -> int:
        """Started → pending, not before ``wait`` from now. A ``free`` one raises the limit; None keeps the error."""
        changes: dict[str, object] = {"last_error": error} if error is not None else {}
        # SQLite writes the sum with more digits, so that even now + 0 is later than now until the millisecond is over.
        then = Now() + wait if wait else Now()
        return self.filter(status=Status.STARTED).update(
            status=Status.PENDING,
            attempt_limit=F("attempt_limit") + (1 if free else 0),
            not_before=then,
            # The rescan must see the deadline pass, however long the wait.
            due_at=Least(then, F("expires_at")),
            lease_until=None,
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
            reason=reason,
            failure=failure,
            **changes,
        )
