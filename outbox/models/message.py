"""One row is one message to one consumer, with its own status, tries and handling."""

import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from asgiref.sync import sync_to_async
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from outbox.models.queryset import Fence, MessageQuerySet
from outbox.models.said import EXCHANGES_KEPT, as_text
from outbox.models.sql.drawn import RandomUUID
from outbox.models.status import Resolution, Status
from outbox.policy import Reason
from outbox.topics import NAME_LENGTH, TOPIC_LENGTH

if TYPE_CHECKING:
    from outbox.models.attempt import Attempt

P = ParamSpec("P")
T = TypeVar("T")
WHERE = {
    "settling()": "is for plain consumers with atomic=False, while their message is delivered",
    "settle()": "is for async consumers, while their message is delivered",
    "report()": "is for consumers with bulk=True, while their messages are delivered",
}
KEY_LENGTH = 200
CURRENCY_LENGTH = 8
VALUE_DIGITS, VALUE_PLACES = 15, 4
"""Digits of a value, and how many of them stand behind the point; SQLite keeps no more of them exactly."""
DIGEST_LENGTH = 32
ONE_OF_KEY = "outbox_message_one_of_key"
"""The constraint that lets no two messages of one ordering key run at once."""


class Settlement(Protocol):
    """How a handler settles its message, or reports on one of many."""

    of_many: bool
    """Whether the handler was given a list."""
    promised: bool
    """Whether ``settle`` was called, which does nothing before it is awaited."""

    def open(self) -> AbstractContextManager[None]:
        """Open the transaction in which the success is committed."""

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` in that transaction."""

    def report(self, error: BaseException | None) -> None:
        """Note what became of the message."""


class Message(models.Model):
    """A message: what happened, who must act on it, and how far that has come."""

    id = models.BigAutoField(primary_key=True)
    topic = models.CharField(_("topic"), max_length=TOPIC_LENGTH)
    consumer = models.CharField(_("consumer"), max_length=NAME_LENGTH)
    key = models.CharField(_("business id"), max_length=KEY_LENGTH)
    payload = models.JSONField(_("payload"))
    digest = models.CharField(max_length=DIGEST_LENGTH, default="", db_default="", blank=True, editable=False)
    """Of the payload as it was published; an edit leaves it. Empty: not known, and never compared."""
    drawn_key = models.UUIDField(_("idempotency key"), default=uuid.uuid4, db_default=RandomUUID(), editable=False)
    """Drawn once, by the database where ``publish`` writes the row. Only an edit as a new order draws another."""
    replay = models.PositiveIntegerField(_("replay"), default=0, db_default=0, editable=False)
    """Which replay of its event the row is, to its consumer; 0: the one that ``publish`` wrote."""
    headers = models.JSONField(_("headers"), default=dict)
    ordering_key = models.CharField(_("ordering key"), max_length=KEY_LENGTH, default="", blank=True)
    value = models.DecimalField(
        _("value"), max_digits=VALUE_DIGITS, decimal_places=VALUE_PLACES, null=True, blank=True, editable=False
    )
    """What is at stake until the promise is kept, in ``currency``; None if nobody has said."""
    currency = models.CharField(
        _("currency"), max_length=CURRENCY_LENGTH, default="", db_default="", blank=True, editable=False
    )
    status = models.CharField(_("status"), max_length=8, choices=Status, default=Status.PENDING)
    resolution = models.CharField(
        _("resolution"), max_length=9, choices=Resolution, default=Resolution.NONE, blank=True
    )
    holds_key = models.BooleanField(default=False, db_default=False, editable=False)
    """It is started, and first among those of its ordering key that are. Of a consumer and key only one row can say so:
    whoever has started it may have started what stands behind it as well, and nobody else starts any."""
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
    retried_at = models.DateTimeField(_("last retried by hand"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    exhausted_at = models.DateTimeField(_("exhausted"), null=True, blank=True)
    worker = models.CharField(_("worker"), max_length=100, default="", blank=True)
    reason = models.CharField(
        _("why it was given up"), max_length=17, choices=Reason, default="", db_default="", blank=True
    )
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
            ("withdraw_message", _("Can withdraw messages that wait")),
            ("hurry_message", _("Can make messages due at once")),
            ("replay_message", _("Can replay messages")),
            ("bulk_message", _("Can act on many messages at once")),
            ("approve_bulk", _("Can approve bulk operations")),
            ("export_message", _("Can export messages")),
            ("erase_message", _("Can erase what messages say of persons")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["key", "topic", "consumer", "replay"], name="outbox_message_once"),
            models.UniqueConstraint(fields=["consumer", "ordering_key"], condition=Q(holds_key=True), name=ONE_OF_KEY),
            models.CheckConstraint(
                condition=Q(holds_key=False) | (Q(status="started") & ~Q(ordering_key="")),
                name="outbox_message_holds_key",
            ),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="outbox_message_status"),
            models.CheckConstraint(
                condition=Q(resolution="")
                | Q(resolution="handled", status="success")
                | Q(resolution__in=["discarded", "overdue", "withdrawn"], status="failed"),
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
            models.CheckConstraint(
                condition=Q(reason="") | Q(status="failed") | Q(resolution="handled"), name="outbox_message_reason"
            ),
            models.CheckConstraint(condition=~Q(topic="") & ~Q(consumer="") & ~Q(key=""), name="outbox_message_named"),
            models.CheckConstraint(
                condition=Q(value__isnull=True, currency="") | (Q(value__isnull=False, value__gte=0) & ~Q(currency="")),
                name="outbox_message_value",
            ),
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
                fields=["consumer", "failure", "id", "currency", "value", "exhausted_at"],
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
                fields=["exhausted_at"],
                condition=Q(exhausted_at__isnull=False) & ~Q(ordering_key=""),
                name="outbox_message_held",
            ),
            models.Index(
                fields=["consumer", "ordering_key", "id"],
                condition=~Q(ordering_key="") & (Q(finished_at__isnull=True) | Q(exhausted_at__isnull=False)),
                name="outbox_message_order",
            ),
        ]

    transaction: str = ""
    """The transaction in which the row is locked, as PostgreSQL numbers it; given by the delivery loop."""

    session_settings: str = ""
    """The settings of the session when the row was locked, in short; given by the delivery loop."""

    rehearsal: bool = False
    """Whether the handler is only rehearsed: called, and rolled back whatever it does."""

    settlement: "Settlement | None" = None
    """How the message is settled or reported on by its handler; given by the delivery loop while it calls one."""

    exchanges: "list[tuple[str, str]] | None" = None
    """What the handler has recorded of its talk with other systems; given by the delivery loop while it calls one."""

    if TYPE_CHECKING:
        attempt_set: models.Manager["Attempt"]

    def __str__(self) -> str:
        replayed = f" (replay {self.replay})" if self.replay else ""
        return f"{self.topic} {self.key} → {self.consumer}{replayed}"

    @property
    def fence(self) -> Fence:
        """The row and attempt that a settle must still hold."""
        return Fence(self.id, self.attempts, self.ordering_key)

    @property
    def idempotency_key(self) -> str:
        """A key for systems outside: the same over retries of this row, and no other row's anywhere.

        An edit leaves it, unless an operator edits the message as a new order.

        It was drawn when the row was written, so a copy of the row in another database still has it: an order that is
        under way is not placed twice.
        """
        return str(self.drawn_key)

    def settling(self) -> AbstractContextManager[None]:
        """Open the transaction in which an ``atomic=False`` consumer writes its result together with the success.

        Raises ``Superseded`` if the attempt is no longer ours; what was written inside is then rolled back. Only the
        delivery loop can hand out such a transaction.

        A deadlock or a serialization failure takes the whole block back. Catch it outside the block and open another,
        or let it pass: then the consumer is called again under the same ``idempotency_key``, and no attempt is spent.
        """
        return self._settlement("settling()").open()

    def settle(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Do the same in an async consumer: call ``function`` in one transaction with the success; return its result.

        It is a plain function that uses the ORM as usual. It runs in the one thread that has the process's session for
        async consumers, one after another with what else they have there; no transaction is open across an await.
        """
        settlement = self._settlement("settle()")
        settlement.promised = True
        return sync_to_async(settlement.call, thread_sensitive=True)(function, *args, **kwargs)

    def report(self, error: BaseException | None = None) -> None:
        """Say in a ``bulk`` consumer what became of this one of the list: a success, or the ``error`` it failed with.

        The error may be ``Reject``, ``Snooze`` or ``Unavailable`` as well. Whatever is not reported on has succeeded
        when the handler returns, and failed with what the handler raises.
        """
        self._settlement("report()").report(error)

    def record_exchange(self, *, request: object = None, answer: object = None) -> None:
        """Keep what was asked of another system and what it said, for the people who look at the attempt.

        Text, bytes, or whatever JSON can carry; None where there was none, such as an answer that never came. At most
        ten of an attempt are kept, 4,000 characters of each side. They are written with the outcome of the attempt,
        also where it failed and was rolled back, and go with the message. The desk masks them as it masks the payload;
        hand over no passwords or tokens.
        """
        if self.exchanges is None:
            self.exchanges = []
        if len(self.exchanges) < EXCHANGES_KEPT:
            self.exchanges.append((as_text(request), as_text(answer)))

    def _settlement(self, method: str) -> "Settlement":
        if self.settlement is not None and self.settlement.of_many and method != "report()":
            raise RuntimeError(f"message.{method} is for one message alone; a bulk consumer says message.report()")
        if self.settlement is None or (method == "report()") != self.settlement.of_many:
            raise RuntimeError(f"message.{method} {WHERE[method]}")
        return self.settlement
