"""What people do at the desk: the acts by name, the permission each takes, and when it is open to them."""

from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.models import Message, Status

EVIDENCE_LENGTH = 250


class Act(TextChoices):
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
    Act.RETRY: "outbox.retry_message",
    Act.HANDLE: "outbox.resolve_message",
    Act.DISCARD: "outbox.discard_message",
    Act.REOPEN: "outbox.resolve_message",
    Act.REVEAL: "outbox.view_payload",
    Act.PAUSE: "outbox.pause_consumer",
    Act.RESUME: "outbox.pause_consumer",
    Act.TRIAGE: "outbox.change_failuregroup",
}

NEED_NO_REASON = frozenset({Act.REVEAL, Act.TRIAGE})
"""Looking changes nothing, and what is written down about a group of failures is its own reason."""


class HandledAs(TextChoices):
    """How a promise was kept, or why it need not be, when a person marks it as handled."""

    ISSUED = "issued", gettext_lazy("issued outside the system")
    COMPENSATED = "compensated", gettext_lazy("compensated otherwise")
    NOT_DUE = "not_due", gettext_lazy("not due")


def why_not(act: Act, message: Message) -> str:
    """Return why the message's state does not permit the act, in words; empty if it does."""
    if act is Act.REVEAL:
        return ""
    if act is Act.REOPEN:
        return "" if message.resolution else _("Only what was handled or discarded by hand can be reopened.")
    if message.exhausted_at is not None:
        return ""
    if message.resolution:
        return _("The message was already closed by hand. Reopen it first.")
    if message.status == Status.SUCCESS:
        return _("The machine has done this one; nothing is left to do.")
    return _("The machine is not done with it: this is for messages it has given up on.")
