"""How the desk and the audit say what people did, and when."""

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.audit import DENIED, PRUNED
from outbox.models import AuditEntry, FailureGroup
from outbox.operate.actions import API_REFUSED, BULK_STATE, Action

ACTION_SENTENCES = {
    Action.RETRY: gettext_lazy("%(actor)s retried the message"),
    Action.EDIT: gettext_lazy("%(actor)s edited the payload and retried the message"),
    Action.HANDLE: gettext_lazy("%(actor)s marked the message as handled"),
    Action.DISCARD: gettext_lazy("%(actor)s discarded the message"),
    Action.REOPEN: gettext_lazy("%(actor)s reopened the message"),
    Action.ACKNOWLEDGE: gettext_lazy("%(actor)s acknowledged the double issue"),
    Action.HURRY: gettext_lazy("%(actor)s made the message due"),
    Action.WITHDRAW: gettext_lazy("%(actor)s withdrew the message"),
    Action.REPLAY: gettext_lazy("%(actor)s replayed the message"),
    Action.ASK: gettext_lazy("%(actor)s asked the other side"),
    Action.REHEARSE: gettext_lazy("%(actor)s rehearsed it"),
    Action.NOTE: gettext_lazy("%(actor)s wrote on the message"),
    Action.REVEAL: gettext_lazy("%(actor)s looked at the payload"),
    Action.EXPORT: gettext_lazy("%(actor)s exported messages"),
    Action.ERASE: gettext_lazy("%(actor)s erased what messages say of a person"),
    Action.PAUSE: gettext_lazy("%(actor)s paused the consumer"),
    Action.RESUME: gettext_lazy("%(actor)s resumed the consumer"),
    Action.SAVE_VIEW: gettext_lazy("%(actor)s saved a view"),
    Action.RENAME_VIEW: gettext_lazy("%(actor)s renamed the view"),
    Action.DELETE_VIEW: gettext_lazy("%(actor)s deleted the view"),
    Action.TRIAGE: gettext_lazy("%(actor)s changed the failure group"),
    Action.MERGE: gettext_lazy("%(actor)s merged the failure group into another"),
    Action.SPLIT: gettext_lazy("%(actor)s split the failure group off"),
    Action.BULK_START: gettext_lazy("%(actor)s started the bulk operation"),
    Action.BULK_APPROVE: gettext_lazy("%(actor)s approved the bulk operation"),
    Action.BULK_PAUSE: gettext_lazy("%(actor)s paused the bulk operation"),
    Action.BULK_RESUME: gettext_lazy("%(actor)s let the bulk operation go on"),
    Action.BULK_CANCEL: gettext_lazy("%(actor)s cancelled the rest of the bulk operation"),
    Action.HALF_PUBLISH: gettext_lazy("%(actor)s published the half message"),
    Action.HALF_TAKE_BACK: gettext_lazy("%(actor)s took the half message back"),
    Action.HALF_ASK: gettext_lazy("%(actor)s had the check asked again"),
    Action.TOKEN_MAKE: gettext_lazy("%(actor)s made the API token"),
    Action.TOKEN_REVOKE: gettext_lazy("%(actor)s revoked the API token"),
    Action.DISCARD_LETTERS: gettext_lazy("%(actor)s discarded dead letters"),
    Action.TAKE_IN: gettext_lazy("%(actor)s took the quarantined message in"),
    Action.DISCARD_QUARANTINED: gettext_lazy("%(actor)s discarded the quarantined message"),
    Action.CLOSE_GAP: gettext_lazy("%(actor)s closed the gap"),
    Action.FORGET_STREAM: gettext_lazy("%(actor)s forgot the watched stream"),
    Action.NEW_EPOCH: gettext_lazy("%(actor)s began a new epoch of numbers"),
    Action.CLOSE_DAY: gettext_lazy("%(actor)s closed the day"),
    Action.EXPLAIN: gettext_lazy("%(actor)s explained the difference"),
}


def format_datetime(at: datetime, how: str = "DATETIME_FORMAT") -> str:
    """Return a moment in local time as people write it; a host without time zones has local moments anyway."""
    return date_format(timezone.localtime(at) if timezone.is_aware(at) else at, how)


def describe_entry(entry: AuditEntry) -> str:
    """Return who did what, in words."""
    if entry.action in Action.values:
        return ACTION_SENTENCES[Action(entry.action)] % {"actor": entry.actor}
    if entry.action == BULK_STATE:
        return _("The bulk operation changed its state by itself")
    if entry.action == API_REFUSED:
        return _("A call of the API for %(actor)s was refused") % {"actor": entry.actor}
    if entry.action == DENIED:
        return _("%(actor)s was refused: %(act)s") % {
            "actor": entry.actor,
            "act": name_act(entry.before.get("act", "")),
        }
    if entry.action == PRUNED:
        return _("The oldest entries were removed: %(count)s") % {"count": entry.before.get("entries")}
    return f"{entry.actor}: {entry.action}"


def name_act(act: str) -> str:
    """Return what an act is called, by the name under which the audit keeps it."""
    return str(Action(act).label) if act in Action.values else act


def subject_of_group(group: FailureGroup) -> str:
    """Return the name under which the audit knows a group of failures: its title, and what tells it from its like."""
    return f"{group} #{group.pk[:12]}"
