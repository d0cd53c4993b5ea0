"""The vocabulary of the engine: which messages, and what becomes of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, NamedTuple, Self

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Least, Now

from outbox.clock import clock_of
from outbox.models.state import ConsumerState, EngineQuerySet
from outbox.models.status import Status

if TYPE_CHECKING:
    from outbox.models.message import Message  # noqa: F401  # the base class below names it


class Fence(NamedTuple):
    """What a worker holds: the row and the attempt it started. Whoever settles must still hold both."""

    id: int
    attempts: int


class Started(NamedTuple):
    """A row that has just been started: the attempt is the one that holds it, and losses in a row came before it."""

    id: int
    attempts: int
    lost: int

    @property
    def fence(self) -> Fence:
        """The row and attempt that a settle must still hold."""
        return Fence(self.id, self.attempts)


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
        ids_by_attempt: dict[int, list[int]] = defaultdict(list)
        for fence in fences:
            ids_by_attempt[fence.attempts].append(fence.id)
        if not ids_by_attempt:
            return self.none()
        ours = (Q(attempts=attempts, pk__in=ids) for attempts, ids in ids_by_attempt.items())
        return self.filter(reduce(or_, ours), status=Status.STARTED)

    def exhausted(self) -> Self:
        """Keep what waits for a person."""
        return self.filter(exhausted_at__isnull=False)

    def prunable(self, *, older_than: timedelta) -> Self:
        """Keep what was settled longer ago than ``older_than``: never the unfinished, never the exhausted."""
        settled = self.filter(finished_at__isnull=False, exhausted_at__isnull=True)
        return settled.filter(finished_at__lt=Now() - older_than).order_by("finished_at")

    def mark_started(self, *, worker: str, lease: timedelta) -> list[Started]:
        """Pending → started: one more attempt, leased to ``worker``; return the rows, as they are now.

        One statement locks the rows, passing over those that others hold, marks them and, outside a transaction, is
        committed. It touches no indexed column (a HOT update). The ORM cannot say this; its queryset says which rows.
        """
        connection = connections[self.db]
        clock = clock_of(connection)
        table = connection.ops.quote_name(self.model._meta.db_table)
        try:
            picked, params = self.values("pk").query.get_compiler(self.db).as_sql()
        except EmptyResultSet:  # a hint that names nothing
            return []
        lock = "FOR NO KEY UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
        # MATERIALIZED: joined into the UPDATE, a LIMIT may be run again for every row, and start more than it says.
        sql = f"""
            WITH picked (picked_id) AS MATERIALIZED ({picked} {lock})
            UPDATE {table} AS message
            SET status = %s, attempts = message.attempts + 1, sends = 0, worker = %s,
                started_at = {clock.now_plus}, lease_until = {clock.now_plus}
            FROM picked WHERE message.id = picked_id
            RETURNING id, attempts, lost
        """  # noqa: S608  # the parts are the ORM's and the clock's, every value is a parameter
        given = [Status.STARTED.value, worker, clock.seconds(timedelta(0)), clock.seconds(lease)]
        with connection.cursor() as cursor:
            cursor.execute(sql, [*params, *given])
            return [Started(*row) for row in cursor.fetchall()]

    def renew(self, lease: timedelta) -> int:
        """Let what is started belong to its worker for another ``lease`` from now."""
        return self.filter(status=Status.STARTED).update(lease_until=Now() + lease)

    def mark_success(self) -> int:
        """Started → success: consumed, for good."""
        return self.filter(status=Status.STARTED).update(
            status=Status.SUCCESS, finished_at=Now(), lease_until=None, lost=0, last_error=""
        )

    def mark_pending(self, *, wait: timedelta, free: bool, lost: int, error: str | None) -> int:
        """Started → pending, not before ``wait`` from now. A ``free`` one raises the limit; None keeps the error."""
        changes: dict[str, object] = {"last_error": error} if error is not None else {}
        return self.filter(status=Status.STARTED).update(
            status=Status.PENDING,
            attempt_limit=F("attempt_limit") + (1 if free else 0),
            not_before=Now() + wait,
            # The rescan must see the deadline pass, however long the wait.
            due_at=Least(Now() + wait, F("expires_at")),
            lease_until=None,
            lost=lost,
            **changes,
        )

    def mark_failed(self, *, error: str, failure: str, lost: int | None = None) -> int:
        """Unfinished → failed: exhausted, and visible until a person has handled it. None keeps the losses."""
        changes = {} if lost is None else {"lost": lost}
        return self.unfinished().update(
            status=Status.FAILED,
            finished_at=Now(),
            exhausted_at=Now(),
            lease_until=None,
            last_error=error,
            failure=failure,
            **changes,
        )
