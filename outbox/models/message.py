"""One row is one promise to one consumer, with its own status, tries and handling; and the attempts that went wrong."""

import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Least, Now
from django.utils.translation import gettext_lazy as _

from outbox.models.state import ConsumerState, EngineQuerySet
from outbox.registry import NAME_LENGTH, TOPIC_LENGTH

KEY_LENGTH = 200
NAMESPACE = uuid.UUID("6d6fb0a5-5ad2-4c38-9d0b-2f0a4c8f4f5e")


class Status(models.TextChoices):
    """The four statuses as operators know them; the README's state picture shows how they follow each other."""

    PENDING = "pending", _("pending")
    STARTED = "started", _("started")
    SUCCESS = "success", _("success")
    FAILED = "failed", _("failed")


class Resolution(models.TextChoices):
    """What a person did with a failed message."""

    NONE = "", _("unresolved")
    HANDLED = "handled", _("handled by hand")
    DISCARDED = "discarded", _("discarded")


class Fence(NamedTuple):
    """What a worker holds: the row and the attempt it started. Whoever settles must still hold both."""

    id: int
    attempts: int


class MessageQuerySet(EngineQuerySet["Message"]):
    """The vocabulary of the engine: which rows, and what becomes of them. All times are the database's."""

    def unfinished(self) -> Self:
        """Keep what is pending or started."""
        return self.filter(finished_at__isnull=True)

    def due(self, *, within: timedelta = timedelta(0)) -> Self:
        """Keep what the rescan must look at now, or ``within`` a span from now; oldest first."""
        return self.unfinished().filter(due_at__lte=Now() + within).order_by("due_at", "id")

    def pending(self) -> Self:
        """Keep what may be started as far as its own row says."""
        return self.filter(status=Status.PENDING, not_before__lte=Now(), expires_at__gt=Now())

    def at_head(self) -> Self:
        """Keep what has no ordering key, or stands first among the unsettled of its consumer and key."""
        ahead = Message.objects.filter(
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
        ours = Q(pk__in=[])
        for attempts, ids in ids_by_attempt.items():
            ours |= Q(attempts=attempts, pk__in=ids)
        return self.filter(ours, status=Status.STARTED)

    def exhausted(self) -> Self:
        """Keep what waits for a person."""
        return self.filter(exhausted_at__isnull=False)

    def prunable(self, *, older_than: timedelta) -> Self:
        """Keep what was settled longer ago than ``older_than``: never the unfinished, never the exhausted."""
        settled = self.filter(finished_at__isnull=False, exhausted_at__isnull=True)
        return settled.filter(finished_at__lt=Now() - older_than).order_by("finished_at")

    def mark_started(self, *, worker: str, lease: timedelta) -> int:
        """Pending → started: one more attempt, leased to ``worker``. Touches no indexed column (a HOT update)."""
        return self.filter(status=Status.PENDING).update(
            status=Status.STARTED,
            attempts=F("attempts") + 1,
            sends=0,
            started_at=Now(),
            lease_until=Now() + lease,
            worker=worker,
        )

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


class Message(models.Model):
    """A promise: what happened, who must act on it, and how far that has come."""

    id = models.BigAutoField(primary_key=True)
    topic = models.CharField(_("topic"), max_length=TOPIC_LENGTH)
    consumer = models.CharField(_("consumer"), max_length=NAME_LENGTH)
    key = models.CharField(_("business id"), max_length=KEY_LENGTH)
    payload = models.JSONField(_("payload"))
    headers = models.JSONField(_("headers"), default=dict)
    ordering_key = models.CharField(_("ordering key"), max_length=KEY_LENGTH, default="", blank=True)
    status = models.CharField(_("status"), max_length=8, choices=Status, default=Status.PENDING)
    resolution = models.CharField(
        _("resolution"), max_length=9, choices=Resolution, default=Resolution.NONE, blank=True
    )
    evidence = models.CharField(_("evidence"), max_length=300, default="", blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    attempt_limit = models.PositiveIntegerField(_("attempt limit"))
    lost = models.PositiveSmallIntegerField(_("losses in a row"), default=0)
    sends = models.PositiveSmallIntegerField(_("sends without a start"), default=0)
    due_at = models.DateTimeField(_("due"))
    not_before = models.DateTimeField(_("not before"))
    lease_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    expires_at = models.DateTimeField(_("deadline"))
    created_at = models.DateTimeField(_("created"))
    started_at = models.DateTimeField(_("last started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    exhausted_at = models.DateTimeField(_("exhausted"), null=True, blank=True)
    worker = models.CharField(_("worker"), max_length=100, default="", blank=True)
    last_error = models.TextField(_("last error"), default="", blank=True)
    failure = models.CharField(_("failure group"), max_length=64, default="", blank=True)
    revision = models.PositiveIntegerField(_("operator changes"), default=0)

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        default_permissions = ("view",)
        permissions = [
            ("view_payload", _("Can see payloads unmasked")),
            ("retry_message", _("Can retry messages")),
            ("edit_payload", _("Can edit a payload and retry")),
            ("resolve_message", _("Can mark messages as handled and reopen them")),
            ("discard_message", _("Can discard messages")),
            ("bulk_message", _("Can act on many messages at once")),
            ("approve_bulk", _("Can approve bulk operations")),
            ("export_message", _("Can export messages")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["key", "topic", "consumer"], name="outbox_message_once"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="outbox_message_status"),
            models.CheckConstraint(
                condition=Q(resolution="")
                | Q(resolution="handled", status="success")
                | Q(resolution="discarded", status="failed"),
                name="outbox_message_resolution",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "started"], finished_at__isnull=True)
                | Q(status__in=["success", "failed"], finished_at__isnull=False),
                name="outbox_message_finished",
            ),
            models.CheckConstraint(
                condition=Q(status="failed", resolution="", exhausted_at__isnull=False)
                | (~Q(status="failed", resolution="") & Q(exhausted_at__isnull=True)),
                name="outbox_message_exhausted",
            ),
            models.CheckConstraint(
                condition=Q(status="started", lease_until__isnull=False, started_at__isnull=False, attempts__gte=1)
                | (~Q(status="started") & Q(lease_until__isnull=True)),
                name="outbox_message_leased",
            ),
            models.CheckConstraint(
                condition=Q(attempts__lt=F("attempt_limit")) | (~Q(status="pending") & Q(attempts=F("attempt_limit"))),
                name="outbox_message_attempts",
            ),
            models.CheckConstraint(condition=~Q(topic="") & ~Q(consumer="") & ~Q(key=""), name="outbox_message_named"),
        ]
        indexes = [
            models.Index(
                fields=["consumer", "due_at", "id"], condition=Q(finished_at__isnull=True), name="outbox_message_due"
            ),
            models.Index(fields=["id"], condition=Q(exhausted_at__isnull=False), name="outbox_message_stuck"),
            models.Index(
                fields=["consumer", "id"], condition=Q(exhausted_at__isnull=False), name="outbox_message_stuck_of"
            ),
            models.Index(
                fields=["consumer", "failure", "id"],
                condition=Q(exhausted_at__isnull=False),
                name="outbox_message_groups",
            ),
            models.Index(
                fields=["finished_at"],
                condition=Q(finished_at__isnull=False, exhausted_at__isnull=True),
                name="outbox_message_prune",
            ),
            models.Index(fields=["resolution", "id"], condition=~Q(resolution=""), name="outbox_message_by_hand"),
            models.Index(
                fields=["exhausted_at"], condition=Q(exhausted_at__isnull=False), name="outbox_message_stuck_at"
            ),
            models.Index(
                fields=["consumer", "ordering_key", "id"],
                condition=~Q(ordering_key="") & (Q(finished_at__isnull=True) | Q(exhausted_at__isnull=False)),
                name="outbox_message_order",
            ),
        ]

    settlement: Callable[[], AbstractContextManager[None]] | None = None
    """How ``settling`` is done; given by the delivery loop while it calls an ``atomic=False`` consumer."""

    if TYPE_CHECKING:
        attempt_set: models.Manager["Attempt"]

    def __str__(self) -> str:
        return f"{self.topic} {self.key} → {self.consumer}"

    @property
    def fence(self) -> Fence:
        """The row and attempt that a settle must still hold."""
        return Fence(self.id, self.attempts)

    @property
    def idempotency_key(self) -> str:
        """A key for systems outside: the same over retries and edits of this row, and no other row's anywhere.

        It is made of what never changes in the row. The settings have no part in it: a renamed queue must not make a
        second order. The time of creation keeps two installations apart that share a vendor.
        """
        identity = [self.pk, self.created_at.isoformat(), self.topic, self.consumer, self.key]
        return str(uuid.uuid5(NAMESPACE, json.dumps(identity)))

    def settling(self) -> AbstractContextManager[None]:
        """Open the transaction in which an ``atomic=False`` consumer writes its result together with the success.

        Raises ``Superseded`` if the attempt is no longer ours; what was written inside is then rolled back. Only the
        delivery loop can hand out such a transaction.
        """
        if self.settlement is not None:
            return self.settlement()
        raise RuntimeError("message.settling() is for consumers with atomic=False, while their message is delivered")


class AttemptOutcome(models.TextChoices):
    """How an attempt ended that did not simply succeed."""

    FAILED = "failed", _("failed")
    REJECTED = "rejected", _("rejected")
    SNOOZED = "snoozed", _("not ready")
    UNAVAILABLE = "unavailable", _("unavailable")
    LOST = "lost", _("worker lost")
    LATE = "late", _("too late")


class AttemptQuerySet(EngineQuerySet["Attempt"]):
    """Attempts, on the engine's database."""


class Attempt(models.Model):
    """One attempt that did not simply succeed: what happened, where, and the traceback."""

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, verbose_name=_("message"))
    number = models.PositiveIntegerField(_("number"))
    outcome = models.CharField(_("outcome"), max_length=11, choices=AttemptOutcome)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), db_default=Now())
    error = models.TextField(_("error"), default="", blank=True)
    traceback = models.TextField(_("traceback"), default="", blank=True)
    worker = models.CharField(_("worker"), max_length=100, default="", blank=True)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["ended_at"], name="outbox_attempt_ended")]

    def __str__(self) -> str:
        return f"{self.number}: {self.outcome}"
