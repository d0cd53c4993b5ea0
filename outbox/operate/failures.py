"""What an operator can do about a failure group: say what is being done and by whom, and what is one with it."""

from functools import partial
from typing import Any

from django.db.models import F, Sum
from django.utils.translation import gettext as _

from outbox import audit
from outbox.errors import Conflict, NotAllowed
from outbox.models import FailureCount, FailureGroup, GroupState
from outbox.operate import text_checks
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction, overtaken_by, snapshot
from outbox.operate.wording import subject_of_group

MOST_MEMBERS = 50
"""Groups that can be merged into one."""
GROUP_ACTIONS = (Action.TRIAGE, Action.MERGE, Action.SPLIT)
"""What is done to a failure group."""
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
    group = _read_group(fingerprint)
    if group.merged_into_id is not None:
        raise NotAllowed(_("The group is merged into another. Write it down there, or split it off first."))
    ignores = state == GroupState.IGNORED
    family = FailureGroup.objects.with_members(fingerprint)
    total = FailureCount.objects.filter(group__in=family).aggregate(total=Sum("count"))["total"] or 0
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


@noted_if_refused(Action.MERGE, name="failure group {:.12}".format)
def merge_group(
    fingerprint: str, *, into: str, revision: int, actor: Actor, reason: str = "", origin: str = ""
) -> FailureGroup:
    """Have another group of the same consumer stand for this one as well; return this one.

    What fails so from now on is counted and shown there. ``split_group`` takes it back: each keeps its own fingerprint,
    counts and messages. What stands for others is not merged itself, and nothing is merged into what is merged.
    """
    action = OperatorAction(Action.MERGE, actor, reason, origin)
    action.check()
    group, target = _read_group(fingerprint), _read_group(into)
    if group.pk == target.pk or group.consumer != target.consumer:
        raise NotAllowed(_("A group can be merged into another of the same consumer."))
    if group.merged_into_id is not None:
        raise NotAllowed(_("The group is merged into another already. Split it off first."))
    return action.change(
        group,
        FailureGroup.objects.filter(pk=group.pk, revision=revision, merged_into__isnull=True),
        audited=(),
        noted=({"merged_into": ""}, {"merged_into": subject_of_group(target)}),
        subject=subject_of_group(group),
        conflict=partial(_group_conflict, group, revision),
        first=partial(_refuse_chain, group, target),
        revision=F("revision") + 1,
        merged_into=target,
    )


@noted_if_refused(Action.SPLIT, name="failure group {:.12}".format)
def split_group(fingerprint: str, *, revision: int, actor: Actor, reason: str = "", origin: str = "") -> FailureGroup:
    """Have a group stand for itself again that was merged into another."""
    action = OperatorAction(Action.SPLIT, actor, reason, origin)
    action.check()
    group = _read_group(fingerprint)
    if group.merged_into is None:
        raise NotAllowed(_("The group stands for itself: it is merged into none."))
    return action.change(
        group,
        FailureGroup.objects.filter(pk=group.pk, revision=revision, merged_into=group.merged_into),
        audited=(),
        noted=({"merged_into": subject_of_group(group.merged_into)}, {"merged_into": ""}),
        subject=subject_of_group(group),
        conflict=partial(_group_conflict, group, revision),
        revision=F("revision") + 1,
        merged_into=None,
    )


def _read_group(fingerprint: str) -> FailureGroup:
    group = FailureGroup.objects.filter(pk=fingerprint).first() if "\0" not in fingerprint else None
    if group is None:
        raise Conflict(_("This failure group is no longer there."))
    return group


def _refuse_chain(group: FailureGroup, target: FailureGroup) -> None:
    """Lock both, in one order for all; raise ``NotAllowed`` where one would stand for what stands for others."""
    both = FailureGroup.objects.filter(pk__in=[group.pk, target.pk]).select_for_update(no_key=True).order_by("pk")
    now = {each.pk: each for each in both}
    if target.pk not in now:
        raise Conflict(_("This failure group is no longer there."))
    if now[target.pk].merged_into_id is not None:
        raise NotAllowed(_("That group is merged into another itself. Merge into the one that stands for it."))
    members = FailureGroup.objects.filter(merged_into__in=list(now)).values_list("merged_into", flat=True)
    if group.pk in members:
        raise NotAllowed(_("Others are merged into this group. Split them off first, or merge the other way round."))
    if len(members) >= MOST_MEMBERS:
        raise NotAllowed(_("%(most)d groups are merged into that one, and no more can be.") % {"most": MOST_MEMBERS})


def _group_conflict(group: FailureGroup, seen: int) -> Conflict:
    """Tell who was faster; where no operator was, the failure itself has come back."""
    revision = FailureGroup.objects.filter(pk=group.pk).values_list("revision", flat=True).first()
    entry = audit.last_act_about(subject_of_group(group), *GROUP_ACTIONS)
    if entry is None or revision == seen:
        return Conflict(_("The failure has come back since you looked. Look again, then decide."))
    return overtaken_by(entry)
