"""What people do with what is quarantined: take it in after a mend, or discard it; each with a reason, in the audit."""

from collections.abc import Callable
from dataclasses import replace

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed
from outbox.external.ingest.quarantine import incoming_of
from outbox.external.ingest.reading import Readable, Refused, read
from outbox.external.ingest.taking_in import admit
from outbox.models import Quarantined, QuarantineReason, QuarantineState
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction
from outbox.operate.wording import format_datetime
from outbox.sources import Incoming, get_source

AUDITED = ("state",)


def subject_of(row: Quarantined) -> str:
    """Return what the audit calls a quarantined message."""
    return f"quarantined message {row.pk}"


@noted_if_refused(Action.TAKE_IN, name="quarantined message {}".format)
def take_in_again(
    quarantined_id: int, *, actor: Actor, reason: str, origin: str = "", as_new: bool = False
) -> Quarantined:
    """Take a quarantined message in, now that the cause is mended. How often it went round does not count any more.

    ``as_new`` gives it an id of its own: for what has none, or whose id is known with other content.

    Raises ``NotAllowed`` with why it still cannot be taken in, ``Conflict`` if somebody has settled it already.
    """
    action = OperatorAction(Action.TAKE_IN, actor, reason, origin)
    action.check()
    row = _read_open(quarantined_id)
    readable = _readable(row, as_new=as_new)

    def publish() -> None:
        refused = admit(readable)
        if refused is not None:
            raise NotAllowed(_still(refused))

    return _settle(action, row, QuarantineState.TAKEN_IN, also=publish)


@noted_if_refused(Action.DISCARD_QUARANTINED, name="quarantined message {}".format)
def discard_quarantined(quarantined_id: int, *, actor: Actor, reason: str, origin: str = "") -> Quarantined:
    """Say that nobody is to act on a quarantined message; it is deleted in time.

    Raises ``Conflict`` if somebody has settled it already.
    """
    action = OperatorAction(Action.DISCARD_QUARANTINED, actor, reason, origin)
    action.check()
    return _settle(action, _read_open(quarantined_id), QuarantineState.DISCARDED)


def reveal_quarantined(quarantined_id: int, *, actor: Actor, origin: str = "", reason: str = "") -> Incoming:
    """Return a quarantined message with all its content, and note in the audit who has seen it."""
    action = OperatorAction(Action.REVEAL, actor, reason, origin)
    action.check()
    with transaction.atomic(using=conf().database):
        row = Quarantined.objects.filter(pk=quarantined_id).first()
        if row is None:
            raise Conflict(_("The quarantined message is not there any more."))
        action.record(subject_of(row), before={}, after={})
    return incoming_of(row)


def _readable(row: Quarantined, *, as_new: bool) -> Readable:
    source = get_source(row.source)
    if source is None:
        raise NotAllowed(_("No receive() in the code has the source “%(source)s” any more.") % {"source": row.source})
    as_id = f"{row.sender_id[:200]}#{row.pk}" if as_new else ""
    found = read(source, replace(incoming_of(row), source=source.name), as_id=as_id, whatever_hops=True)
    if isinstance(found, Refused):
        raise NotAllowed(_still(found))
    return found


def _still(refused: Refused) -> str:
    words = {"reason": QuarantineReason(refused.reason).label, "error": refused.error}
    text = (
        _("It still cannot be taken in: %(reason)s. %(error)s")
        if refused.error
        else _("It still cannot be taken in: %(reason)s.")
    )
    return text % words


def _read_open(quarantined_id: int) -> Quarantined:
    row = Quarantined.objects.filter(pk=quarantined_id).first()
    if row is None:
        raise Conflict(_("The quarantined message is not there any more."))
    if row.state != QuarantineState.OPEN:
        raise _settled_already(row)
    return row


def _settle(
    action: OperatorAction, row: Quarantined, state: QuarantineState, also: Callable[[], object] | None = None
) -> Quarantined:
    return action.change(
        row,
        Quarantined.objects.open().filter(pk=row.pk),
        audited=AUDITED,
        subject=subject_of(row),
        conflict=lambda: _settled_already(Quarantined.objects.filter(pk=row.pk).first()),
        also=also,
        noted=({"source": row.source, "reason": row.reason, "digest": str(row.digest)}, {}),
        state=state,
        settled_at=Now(),
        settled_by=action.actor_name,
    )


def _settled_already(row: Quarantined | None) -> Conflict:
    if row is None or row.settled_at is None:
        return Conflict(_("The quarantined message is not there any more."))
    words = {
        "actor": row.settled_by,
        "state": QuarantineState(row.state).label,
        "at": format_datetime(row.settled_at),
    }
    return Conflict(_("%(actor)s has settled it already: %(state)s (%(at)s).") % words)
