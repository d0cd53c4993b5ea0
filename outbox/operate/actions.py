"""What people do at the desk: the acts by name, the permission each takes, and when it is open to them."""

from django.db.models import TextChoices
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox import registry
from outbox.audit import ASKED, NOTED, REHEARSED
from outbox.models import Message, Resolution, Status


class Action(TextChoices):
    """What can be done by hand, under the names the audit keeps."""

    RETRY = "retry", gettext_lazy("retry")
    EDIT = "edit", gettext_lazy("edit and retry")
    HANDLE = "handle", gettext_lazy("mark as handled")
    DISCARD = "discard", gettext_lazy("discard")
    REOPEN = "reopen", gettext_lazy("reopen")
    ACKNOWLEDGE = "acknowledge", gettext_lazy("acknowledge the double issue")
    HURRY = "hurry", gettext_lazy("make due now")
    WITHDRAW = "withdraw", gettext_lazy("withdraw")
    REPLAY = "replay", gettext_lazy("replay")
    ASK = ASKED, gettext_lazy("ask the other side")
    NOTE = NOTED, gettext_lazy("write on the message")
    REHEARSE = REHEARSED, gettext_lazy("rehearse")
    REVEAL = "reveal", gettext_lazy("reveal the payload")
    EXPORT = "export", gettext_lazy("export messages")
    ERASE = "erase", gettext_lazy("erase the texts")
    PAUSE = "pause", gettext_lazy("pause the consumer")
    RESUME = "resume", gettext_lazy("resume the consumer")
    SAVE_VIEW = "save_view", gettext_lazy("save a view")
    RENAME_VIEW = "rename_view", gettext_lazy("rename a view")
    DELETE_VIEW = "delete_view", gettext_lazy("delete a view")
    TRIAGE = "triage", gettext_lazy("change the failure group")
    MERGE = "merge", gettext_lazy("merge failure groups")
    SPLIT = "split", gettext_lazy("split a failure group off")
    BULK_START = "bulk_start", gettext_lazy("start a bulk operation")
    BULK_APPROVE = "bulk_approve", gettext_lazy("approve a bulk operation")
    BULK_PAUSE = "bulk_pause", gettext_lazy("pause a bulk operation")
    BULK_RESUME = "bulk_resume", gettext_lazy("let a bulk operation go on")
    BULK_CANCEL = "bulk_cancel", gettext_lazy("cancel a bulk operation")
    HALF_PUBLISH = "half_publish", gettext_lazy("publish a half message")
    HALF_TAKE_BACK = "half_take_back", gettext_lazy("take a half message back")
    HALF_ASK = "half_ask", gettext_lazy("have the check asked again")
    TOKEN_MAKE = "token_make", gettext_lazy("make an API token")
    TOKEN_REVOKE = "token_revoke", gettext_lazy("revoke an API token")
    DISCARD_LETTERS = "discard_letters", gettext_lazy("discard dead letters")
    TAKE_IN = "take_in", gettext_lazy("take a quarantined message in")
    DISCARD_QUARANTINED = "discard_quarantined", gettext_lazy("discard a quarantined message")
    CLOSE_GAP = "close_gap", gettext_lazy("close a gap")
    FORGET_STREAM = "forget_stream", gettext_lazy("forget a watched stream")
    NEW_EPOCH = "new_epoch", gettext_lazy("begin a new epoch of numbers")
    CLOSE_DAY = "close_day", gettext_lazy("close a day of the books")
    EXPLAIN = "explain", gettext_lazy("explain a difference")


PERMISSIONS = {
    Action.RETRY: "outbox.retry_message",
    Action.EDIT: "outbox.edit_payload",
    Action.HANDLE: "outbox.resolve_message",
    Action.DISCARD: "outbox.discard_message",
    Action.REOPEN: "outbox.resolve_message",
    Action.ACKNOWLEDGE: "outbox.resolve_message",
    Action.HURRY: "outbox.hurry_message",
    Action.WITHDRAW: "outbox.withdraw_message",
    Action.REPLAY: "outbox.replay_message",
    Action.ASK: "outbox.retry_message",
    Action.NOTE: "outbox.note_message",
    Action.REHEARSE: "outbox.retry_message",
    Action.REVEAL: "outbox.view_payload",
    Action.EXPORT: "outbox.export_message",
    Action.ERASE: "outbox.erase_message",
    Action.PAUSE: "outbox.pause_consumer",
    Action.RESUME: "outbox.pause_consumer",
    Action.SAVE_VIEW: "outbox.save_view",
    Action.RENAME_VIEW: "outbox.save_view",
    Action.DELETE_VIEW: "outbox.save_view",
    Action.TRIAGE: "outbox.change_failuregroup",
    Action.MERGE: "outbox.change_failuregroup",
    Action.SPLIT: "outbox.change_failuregroup",
    Action.BULK_START: "outbox.bulk_message",
    Action.BULK_APPROVE: "outbox.approve_bulk",
    Action.BULK_PAUSE: "outbox.bulk_message",
    Action.BULK_RESUME: "outbox.bulk_message",
    Action.BULK_CANCEL: "outbox.bulk_message",
    Action.HALF_PUBLISH: "outbox.decide_half",
    Action.HALF_TAKE_BACK: "outbox.decide_half",
    Action.HALF_ASK: "outbox.decide_half",
    Action.TOKEN_MAKE: "outbox.manage_apitoken",
    Action.TOKEN_REVOKE: "outbox.manage_apitoken",
    Action.DISCARD_LETTERS: "outbox.discard_deadletter",
    Action.TAKE_IN: "outbox.settle_quarantined",
    Action.DISCARD_QUARANTINED: "outbox.settle_quarantined",
    Action.CLOSE_GAP: "outbox.close_gap",
    Action.FORGET_STREAM: "outbox.close_gap",
    Action.NEW_EPOCH: "outbox.begin_epoch",
    Action.CLOSE_DAY: "outbox.close_bookday",
    Action.EXPLAIN: "outbox.explain_difference",
}

BULK_ACTIONS = (
    Action.BULK_START,
    Action.BULK_APPROVE,
    Action.BULK_PAUSE,
    Action.BULK_RESUME,
    Action.BULK_CANCEL,
)
"""What is done to a bulk operation as a whole."""

BULK_STATE = "bulk_state"
"""The action under which the audit keeps what a bulk operation did by itself."""
API_REFUSED = "api_refused"
"""The action under which the audit keeps that a program asked for what its token, or its owner, does not permit."""

NEED_NO_REASON = frozenset(
    {
        Action.ASK,
        Action.EXPORT,
        Action.HALF_ASK,
        Action.MERGE,
        Action.NOTE,
        Action.REHEARSE,
        Action.REVEAL,
        Action.SAVE_VIEW,
        Action.RENAME_VIEW,
        Action.DELETE_VIEW,
        Action.SPLIT,
        Action.TRIAGE,
    }
)
"""Looking changes nothing, and what is written on a message or a group of failures is its own reason."""


def why_not(action: Action, message: Message) -> str:
    """Return why the message's state does not permit the act, in words; empty if it does."""
    match action:
        case Action.ASK | Action.NOTE | Action.REHEARSE | Action.REVEAL | Action.ACKNOWLEDGE:
            return ""
        case Action.ERASE if message.finished_at is None or message.exhausted_at is not None:
            return _("The message is not settled yet, and needs its payload. Handle or discard it first.")
        case Action.ERASE:
            return ""
        case Action.REOPEN:
            return _why_not_closed(message)
        case Action.HURRY if message.status == Status.PENDING:
            return "" if message.not_before > timezone.now() else _("It is due already: a worker takes it up in turn.")
        case Action.HURRY | Action.WITHDRAW:
            return "" if message.status == Status.PENDING else _why_not_waiting(message)
        case Action.REPLAY:
            return _why_not_settled(message)
        case _:
            return "" if message.exhausted_at is not None else _why_not_failed(message)


def _why_not_closed(message: Message) -> str:
    if message.resolution not in (Resolution.HANDLED, Resolution.DISCARDED):
        return _("Only what was handled or discarded by hand can be reopened.")
    consumer = registry.get(message.consumer)
    if consumer is not None and consumer.closes_for_good:
        return _(
            "The business has followed, and the consumer does not say how that is taken back (on_reopened). If "
            "this was a mistake, mend the business row by its own means."
        )
    return ""


def _why_not_waiting(message: Message) -> str:
    if message.status == Status.STARTED:
        return _("A worker has it right now. Look again when the attempt is over.")
    if message.exhausted_at is not None:
        return _("It does not wait any more: the machine has given up on it. Retry it, or close it by hand.")
    return _("It does not wait any more: it is over.")


def _why_not_settled(message: Message) -> str:
    if message.finished_at is None:
        return _("The machine is not done with it: this is for messages that are over.")
    return "" if message.exhausted_at is None else _("It waits for a person. Retry it, which needs no second message.")


def _why_not_failed(message: Message) -> str:
    if message.resolution == Resolution.OVERDUE:
        return _("The message was closed by itself: its time was over before it was ever called.")
    if message.resolution == Resolution.WITHDRAWN:
        return _("The message was withdrawn: nobody wants it any more.")
    if message.resolution:
        return _("The message was already closed by hand. Reopen it first.")
    if message.status == Status.SUCCESS:
        return _("The machine has done this one; nothing is left to do.")
    return _("The machine is not done with it: this is for messages it has given up on.")
