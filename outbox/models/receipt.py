"""Receipts: which are waited for of what was forwarded, and how many have come, of which kind."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.message import Message
from outbox.models.queryset import Fence
from outbox.models.state import EngineQuerySet
from outbox.topics import SOURCE_LENGTH

if TYPE_CHECKING:
    from uuid import UUID

SAID_LENGTH = 300


class AwaitedReceiptQuerySet(EngineQuerySet["AwaitedReceipt"]):
    """What is waited for, on the engine's database."""

    def expect(self, messages: Iterable[Message], receiver: str) -> None:
        """Note whose receipt for these messages will be believed, and by which id it names them."""
        rows = [AwaitedReceipt(message_id=message.pk, key=message.drawn_key, receiver=receiver) for message in messages]
        self.bulk_create(rows, update_conflicts=True, unique_fields=["message"], update_fields=["key", "receiver"])

    def note_sent(self, fences: Sequence[Fence]) -> None:
        """Note that the attempt of each of these is confirmed by the broker."""
        ids = [fence.id for fence in fences]
        attempts = Message.objects.filter(pk=OuterRef("message_id")).values("attempts")
        self.filter(message_id__in=ids).update(sent_attempt=Subquery(attempts))

    def sent(self, messages: Iterable[Message]) -> dict[int, str]:
        """Return of these, if started, those whose attempt was sent, by id: the receivers that have said nothing."""
        attempts = {message.pk: message.attempts for message in messages}
        rows = self.filter(message_id__in=attempts).values_list("message_id", "sent_attempt", "receiver")
        return {id: receiver for id, attempt, receiver in rows if attempt == attempts[id]}

    def by_key(self, keys: "Iterable[UUID]") -> Self:
        """Keep what is known to receivers by one of these ids; of several messages of one id the newest is last."""
        return self.filter(key__in=list(keys)).order_by("message_id")


class AwaitedReceipt(models.Model):
    """That a receiver is to say what became of a message, which it knows by ``key``; one row for each such message.

    A started message whose attempt is ``sent_attempt`` is with no worker: it waits for its receipt, as long as its
    lease says.
    """

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, verbose_name=_("message"))
    key = models.UUIDField(db_index=True, editable=False)
    """The message's idempotency key when it was sent last. A replay may have that of the message before."""
    receiver = models.CharField(_("receiver"), max_length=SOURCE_LENGTH)
    sent_attempt = models.PositiveIntegerField(_("attempt that was sent"), default=0)
    """The last attempt that the broker has confirmed; 0: none."""

    objects = AwaitedReceiptQuerySet.as_manager()

    class Meta:
        verbose_name = _("awaited receipt")
        verbose_name_plural = _("awaited receipts")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.key} {self.receiver}"


class ReceiptKind(models.TextChoices):
    """What a receipt came to."""

    CONSUMED = "consumed", _("consumed")
    FAILED = "failed", _("failed")
    REJECTED = "rejected", _("rejected")
    DOUBLED = "doubled", _("consumed, although it was closed by hand")
    SETTLED = "settled", _("its message was settled already")
    LATE = "late", _("of an attempt that is not under way")
    UNKNOWN = "unknown", _("unknown message id")
    RECEIVER = "receiver", _("not from the receiver that is waited for")
    SIGNATURE = "signature", _("wrong signature")
    MALFORMED = "malformed", _("no receipt, or one that cannot be")


APPLIED = frozenset({ReceiptKind.CONSUMED, ReceiptKind.FAILED, ReceiptKind.REJECTED, ReceiptKind.DOUBLED})
"""Receipts that have changed something."""
FORGED = (ReceiptKind.UNKNOWN, ReceiptKind.RECEIVER, ReceiptKind.SIGNATURE, ReceiptKind.MALFORMED)
"""Receipts that nobody who is waited for should send."""


class ReceiptCountQuerySet(EngineQuerySet["ReceiptCount"]):
    """Counts of receipts, on the engine's database."""

    def add(self, kinds: Mapping[ReceiptKind, int], said: Mapping[ReceiptKind, str]) -> None:
        """Add to the counts, in one order; ``said`` is what the last one of a kind was about."""
        for kind in sorted(kinds):
            self.bulk_create([ReceiptCount(kind=kind)], ignore_conflicts=True)
            said_last = said.get(kind, "")[:SAID_LENGTH]
            self.filter(pk=kind).update(many=F("many") + kinds[kind], at=Now(), said=said_last)


class ReceiptCount(models.Model):
    """How many receipts of one kind have come, and when and about what the last one was."""

    kind = models.CharField(_("kind"), max_length=9, choices=ReceiptKind, primary_key=True)
    many = models.PositiveBigIntegerField(_("receipts"), default=0)
    at = models.DateTimeField(_("last"), db_default=Now())
    said = models.CharField(max_length=SAID_LENGTH, default="", blank=True)

    objects = ReceiptCountQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind}: {self.many}"
