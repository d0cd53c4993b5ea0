"""What proves that a person has settled a message: rows of their own, which outlive reopening and can be searched."""

import hashlib
import unicodedata
from secrets import token_hex
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.message import Message
from outbox.models.state import EngineQuerySet
from outbox.models.status import HandledAs, Resolution, Status

EVIDENCE_LENGTH = 250
ISSUED_ONCE = "outbox_evidence_issued_once"
"""The constraint that lets no order number or link prove two messages as issued."""


def draw_salt() -> str:
    """Return 32 hex digits that nobody can guess."""
    return token_hex(16)


class EvidenceKind(models.TextChoices):
    """What the text of an evidence is."""

    ORDER = "order", _("vendor's order number")
    LINK = "link", _("link")
    NOTE = "note", _("note")


def normalise(text: str) -> str:
    """Return an evidence's text as it is compared: without regard to case, width and spaces."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def digest_of(text: str) -> str:
    """Return the SHA-256 of the text as it is compared, as 64 hex digits."""
    return hashlib.sha256(normalise(text).encode()).hexdigest()


class EvidenceQuerySet(EngineQuerySet["Evidence"]):
    """Evidence, on the engine's database."""

    def standing(self) -> Self:
        """Keep what nobody has called wrong."""
        return self.filter(retracted_at__isnull=True)

    def issued(self) -> Self:
        """Keep what says that the promise was kept outside the system."""
        return self.standing().filter(outcome=HandledAs.ISSUED)

    def doubled(self) -> Self:
        """Keep what proves that a message was issued which the machine has issued as well, and nobody has seen yet."""
        issued = Q(retried_at__isnull=False, message__status=Status.SUCCESS, message__resolution=Resolution.NONE)
        return self.standing().filter(Q(doubled_at__isnull=False) | issued, acknowledged_at__isnull=True)

    def note_double(self, message_id: int) -> int:
        """Write down that a handler has acted on a message that was issued or closed by hand; return how many rows."""
        by_hand = Q(outcome=HandledAs.ISSUED) | Q(message__resolution=Resolution.HANDLED)
        of_message = self.standing().filter(by_hand, message_id=message_id)
        return of_message.update(doubled_at=Now(), acknowledged_at=None)

    def saying(self, text: str) -> Self:
        """Keep the rows whose text is ``text``, compared without regard to case, width and spaces."""
        return self.filter(digest=digest_of(text))


class Evidence(models.Model):
    """What proves how a message was handled. A note proves any number of messages, all else one that was issued.

    The text stands here alone, so that it can be erased; the audit keeps ``seal``, which says nothing without ``salt``.
    """

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, verbose_name=_("message"))
    kind = models.CharField(_("kind"), max_length=5, choices=EvidenceKind)
    text = models.CharField(_("evidence"), max_length=EVIDENCE_LENGTH, blank=True)
    digest = models.CharField(max_length=64, blank=True, db_index=True, editable=False)
    """Of the text; empty once that is erased."""
    salt = models.CharField(max_length=32, blank=True, default=draw_salt, editable=False)
    outcome = models.CharField(_("handled as"), max_length=11, choices=HandledAs)
    actor = models.CharField(_("who"), max_length=150)
    at = models.DateTimeField(_("when"), db_default=Now())
    retracted_at = models.DateTimeField(_("called wrong"), null=True, blank=True)
    retried_at = models.DateTimeField(_("retried all the same"), null=True, blank=True)
    doubled_at = models.DateTimeField(_("done by the machine as well"), null=True, blank=True)
    acknowledged_at = models.DateTimeField(_("double issue acknowledged"), null=True, blank=True)

    objects = EvidenceQuerySet.as_manager()

    class Meta:
        verbose_name = _("evidence")
        verbose_name_plural = _("evidence")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["digest"],
                condition=Q(outcome="issued", retracted_at__isnull=True) & ~Q(kind="note") & ~Q(digest=""),
                name=ISSUED_ONCE,
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(acknowledged_at__isnull=True) & (Q(doubled_at__isnull=False) | Q(retried_at__isnull=False)),
                name="outbox_evidence_doubled",
            ),
        ]

    def __str__(self) -> str:
        return f"{HandledAs(self.outcome).label}: {self.text or '…'}"

    def is_doubled(self, message: Message) -> bool:
        """Tell what ``doubled`` finds, of the evidence of a message that was read."""
        by_machine = message.status == Status.SUCCESS and message.resolution == Resolution.NONE
        issued_again = self.retried_at is not None and by_machine
        stands = self.retracted_at is None and self.acknowledged_at is None
        return stands and (self.doubled_at is not None or issued_again)

    @property
    def seal(self) -> str:
        """The SHA-256 of salt and text, by which the audit can be shown what was entered."""
        return hashlib.sha256(f"{self.salt}{self.text}".encode()).hexdigest()
