"""What people do at the desk: the acts by name, the permission each takes, and when it is open to them."""

from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.models import Message, Resolution, Status

EVIDENCE_LENGTH = 250


class Action(TextChoices):
    """What can be done by hand, under the names the audit keeps."""

    RETRY = "retry", gettext_lazy("retry")
    HANDLE = "handle", gettext_lazy("mark as handled")
    DISCARD = "discard", gettext_lazy("discard")
    REOPEN = "reopen", gettext_lazy("reopen")
    REVEAL = "reveal", gettext_lazy("reveal the payload")
    PAUSE = "pause", gettext_lazy("pause the consumer")
    RESUME = "resume", gettext_lazy("resume the consumer")
    TRIAGE = "triage", gettext_lazy("change the failure group")


PERMISSIONS = {
    Action.RETRY: "outbox.retry_message",
    Action.HANDLE: "outbox.resolve_message",
    Action.DISCARD: "outbox.discard_message",
    Action.REOPEN: "outbox.resolve_message",
    Action.REVEAL: "outbox.view_payload",
    Action.PAUSE: "outbox.pause_consumer",
    Action.RESUME: "outbox.pause_consumer",
    Action.TRIAGE: "outbox.change_failuregroup",
}

NEED_NO_REASON = frozenset({Action.REVEAL, Action.TRIAGE})
"""Looking changes nothing, and what is written down about a group of failures is its own reason."""


def why_not(action: Action, message: Message) -> str:
    """Return why the message's state does not permit the act, in words; empty if it does."""
    if action is Action.REVEAL:
        return ""
    if action is Action.REOPEN:
        by_hand = message.resolution in (Resolution.HANDLED, Resolution.DISCARDED)
        return "" if by_hand else _("Only what was handled or discarded by hand can be reopened.")
    if message.exhausted_at is not None:
        return ""
    if message.resolution == Resolution.OVERDUE:
        return _("The message was closed by itself: its time was over before it was ever called.")
    if message.resolution:
        return _("The message was already closed by hand. Reopen it first.")
    if message.status == Status.SUCCESS:
        return _("The machine has done this one; nothing is left to do.")
    return _("The machine is not done with it: this is for messages it has given up on.")
