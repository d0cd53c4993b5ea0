"""What an operator can do about a kind of failure: say what is being done, by whom, and where it is written down."""

from functools import partial
from typing import Any

from django.db.models import F
from django.utils.translation import gettext as _

from outbox import audit
from outbox.errors import Conflict, NotAllowed
from outbox.models import FailureGroup, GroupState
from outbox.operate import text_checks
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction, overtaken_by, snapshot
from outbox.operate.wording import subject_of_group

AUDITED_GROUP = ("state", "owner", "ticket", "note", "ignored_up_to")
"""What an act can change, as the audit keeps it."""


@noted_if_refused(Action.TRIAGE, name="failure group {:.12}".format)
def set_group(
    fingerprint: str,
    *,
    revision: int,
    was: GroupState,
    actor: Actor,
    state: GroupState,
    owner: str = "",
    ticket: str = "",
    note: str = "",
    ignored_up_to: int | None = None,
    reason: str = "",
    origin: str = "",
) -> FailureGroup:
    """Write down what people have decided about a group of failures; all of it at once, as it is to be.

    ``was`` is the state the operator saw: the machine itself opens a fixed group again, which is no operator's change.
    ``ignored_up_to`` is the number of failures beyond which an ignored group is shown as open again.
    """
    action = OperatorAction(Action.TRIAGE, actor, reason, origin)
    action.check()
    group = FailureGroup.objects.with_totals().filter(pk=fingerprint).first()
    if group is None:
        raise Conflict(_("This failure group is no longer there."))
    ignores = state == GroupState.IGNORED
    total = getattr(group, "total", None) or 0
    if ignores and (ignored_up_to is None or ignored_up_to <= total):
        raise NotAllowed(
            _("Say up to how many failures it is to be ignored: more than the %(total)d there have been.")
            % {"total": total}
        )
    wanted: dict[str, Any] = {
        "state": GroupState(state),
        "owner": text_checks.check_text(owner, limit=text_checks.OWNER_LENGTH),
        "ticket": text_checks.check_text(ticket, limit=text_checks.TICKET_LENGTH),
        "note": text_checks.check_text(note, limit=text_checks.NOTE_LENGTH, lines=True),
        "ignored_up_to": ignored_up_to if ignores else None,
    }
    if snapshot(group, AUDITED_GROUP) == wanted:
        raise NotAllowed(_("Nothing was changed."))
    return action.change(
        group,
        FailureGroup.objects.filter(pk=fingerprint, revision=revision, state=was),
        audited=AUDITED_GROUP,
        subject=subject_of_group(group),
        conflict=partial(_group_conflict, group, revision),
        revision=F("revision") + 1,
        **wanted,
    )


def _group_conflict(group: FailureGroup, seen: int) -> Conflict:
    """Tell who was faster; where no operator was, the failure itself has come back."""
    revision = FailureGroup.objects.filter(pk=group.pk).values_list("revision", flat=True).first()
    entry = audit.last_act_about(subject_of_group(group), Action.TRIAGE)
    if entry is None or revision == seen:
        return Conflict(_("The failure has come back since you looked. Look again, then decide."))
    return overtaken_by(entry)
