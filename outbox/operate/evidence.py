"""What proves that a message was handled: looked at when it is given, kept, and asked for before a retry."""

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.errors import EvidenceTaken, NotAllowed
from outbox.models import Evidence, EvidenceKind, HandledAs, Message
from outbox.models.evidence import EVIDENCE_LENGTH, digest_of, normalise
from outbox.operate import text_checks
from outbox.operate.wording import format_datetime

WEB = ("http://", "https://")


def check_evidence(text: str, kind: EvidenceKind) -> str:
    """Return the text as it is kept. Raises ``NotAllowed`` if it proves nothing, or is no address though a link."""
    proof = text_checks.check_text(text, limit=EVIDENCE_LENGTH)
    if not normalise(proof):
        raise NotAllowed(
            _("Say what proves it, in 1 to %(limit)d characters: an order number, a link or a note.")
            % {"limit": EVIDENCE_LENGTH}
        )
    if kind == EvidenceKind.LINK and not proof.lower().startswith(WEB):
        raise NotAllowed(_("A link begins with http:// or https://. Choose “note” for anything else."))
    return proof


def draft_evidence(message: Message, *, text: str, kind: EvidenceKind, outcome: HandledAs, actor: str) -> Evidence:
    """Return the row that will prove it, not yet written: a new one, or the one that this message has already.

    Raises ``EvidenceTaken`` if it proves another message.
    """
    if other := _other_proved_by(message, text, kind, outcome):
        raise _taken(other)
    known = Evidence.objects.standing().saying(text).filter(message=message, outcome=outcome, kind=kind).first()
    row = known or Evidence(message=message, kind=kind, text=text, digest=digest_of(text), outcome=outcome)
    row.actor = actor
    return row


def keep_evidence(row: Evidence) -> None:
    """Write the row, inside the transaction of the act; raises ``EvidenceTaken`` if somebody else was faster."""
    row.at = Now()
    try:
        with transaction.atomic(using=conf().database):
            row.save(using=conf().database)
    except IntegrityError as error:
        other = _other_proved_by(row.message, row.text, EvidenceKind(row.kind), HandledAs(row.outcome))
        if other is None:
            raise
        raise _taken(other) from error


def latest_evidence(message_id: int) -> Evidence | None:
    """Return what was last said to prove how the message was handled, unless it was called wrong."""
    return Evidence.objects.standing().filter(message_id=message_id).order_by("-at", "-id").first()


def issued_by(message_id: int) -> Evidence | None:
    """Return what proves that the promise was kept outside the system, whatever became of the message since."""
    return Evidence.objects.issued().filter(message_id=message_id).order_by("-at", "-id").first()


def refuse_second_issue(message_id: int) -> None:
    """Raise ``NotAllowed`` if the promise was kept outside the system: the machine would keep it once more."""
    if proof := issued_by(message_id):
        raise issued_already(proof)


def issued_already(proof: Evidence) -> NotAllowed:
    """Return the refusal of a retry of what evidence says was issued, to raise."""
    return NotAllowed(
        _(
            "It was issued already, by “%(evidence)s” (%(actor)s, %(at)s). A retry may issue it a second time. "
            "Confirm that you know of it."
        )
        % {"evidence": proof.text or "…", "actor": proof.actor, "at": format_datetime(proof.at)}
    )


def _other_proved_by(message: Message, text: str, kind: EvidenceKind, outcome: HandledAs) -> Evidence | None:
    """Return what the same order number or link has proved of another message, if both were issued."""
    if outcome != HandledAs.ISSUED or kind == EvidenceKind.NOTE:
        return None
    said = Evidence.objects.issued().saying(text).exclude(kind=EvidenceKind.NOTE)
    return said.exclude(message=message).select_related("message").first()


def _taken(other: Evidence) -> EvidenceTaken:
    return EvidenceTaken(
        _("“%(evidence)s” proves another message already: message %(id)d, %(subject)s (%(actor)s, %(at)s).")
        % {
            "evidence": other.text,
            "id": other.message.pk,
            "subject": other.message,
            "actor": other.actor,
            "at": format_datetime(other.at),
        },
        message_id=other.message.pk,
    )
