"""The forms by which an operator acts: each asks for what ``operate`` needs. Those on a message then call it."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from outbox import operate
from outbox.models import HandledAs, Message
from outbox.monitoring.findings import many
from outbox.operate import Actor, Person
from outbox.operate.actions import EVIDENCE_LENGTH, PERMISSIONS, Action
from outbox.operate.text_checks import REASON_LENGTH


class ReasonedForm(forms.Form):
    """One act, in words, and the reason for it."""

    act: Action
    title: Promise
    button: Promise
    promise: Promise
    done: Promise
    button_class = "default"
    template_name = "outbox/desk/act_form.html"

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 40}),
        help_text=_("Kept in the audit, for whoever asks later."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", f"{self.act.value}-%s")
        super().__init__(*args, **kwargs)


class ActionForm(ReasonedForm):
    """An act on a message, and the revision of the message that the operator was looking at."""

    confirm_text: Promise | None = None
    lets_others_go = False
    """Whether it lets what waits behind the message by its ordering key go on."""

    revision = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    confirm = forms.BooleanField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.confirm_text is None:
            del self.fields["confirm"]
        else:
            self.fields["confirm"].label = str(self.confirm_text)

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Call ``operate`` with what was entered."""
        raise NotImplementedError

    def tell_of_others(self, behind: int) -> None:
        """Add what the act means for those that wait ``behind`` the message by its ordering key, if it lets them go."""
        if behind and self.lets_others_go:
            text = gettext("Lets what waits behind it go on: %(many)s.") % {"many": many(behind)}
            self.promise = format_lazy("{} {}", self.promise, text)

    def done_to(self, message: Message) -> str:  # noqa: ARG002  # most acts are done with
        """Return what has been done, in words."""
        return str(self.done)

    def _common(self) -> dict[str, Any]:
        return {"revision": self.cleaned_data["revision"], "reason": self.cleaned_data["reason"]}


@dataclass(frozen=True, slots=True)
class Panel:
    """One act as a page offers it: its form, and why it is not open to this person now, if it is not."""

    form: ReasonedForm
    refusal: str
    is_open: bool


def lacks_permission(act: Action, user: Person) -> str:
    """Return that this person may not do this, in words; empty if they may. ``operate`` checks it again."""
    if user.has_perm(PERMISSIONS[act]):
        return ""
    return gettext("You may not do this; it takes the permission “%(permission)s”.") % {"permission": PERMISSIONS[act]}


class RetryForm(ActionForm):
    """Retry a message whose failed attempts left nothing behind."""

    act = Action.RETRY
    title = _("Retry")
    button = _("Retry now")
    promise = _("A fresh set of tries, starting now, with the same idempotency key.")
    done = _("Pending again: a worker takes it up now.")

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Retry."""
        operate.retry(message_id, actor=actor, origin=origin, **self._common())

    def done_to(self, message: Message) -> str:
        """Return that it is pending again, and whether anybody takes it up."""
        held_back = operate.why_held_back(message.consumer)
        return f"{gettext('Pending again.')} {held_back}" if held_back else super().done_to(message)


class AskedRetryForm(RetryForm):
    """Retry a message although the other side may have acted: only after it was asked."""

    confirm_text = _("I have asked the other side: it has not acted")


class HandleForm(ActionForm):
    """Say that the matter is settled, how, and what proves it."""

    act = Action.HANDLE
    title = _("Mark as handled")
    button = _("Mark as handled")
    promise = _("You have settled the matter outside; the machine will leave it alone. Can be reopened.")
    done = _("Marked as handled.")
    lets_others_go = True

    outcome = forms.ChoiceField(label=_("Outcome"), choices=[("", "---------"), *HandledAs.choices])
    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=EVIDENCE_LENGTH,
        help_text=_("An order number, a link or a note that proves it."),
    )
    field_order = ["revision", "outcome", "evidence", "reason"]

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Mark as handled."""
        operate.mark_handled(
            message_id,
            actor=actor,
            origin=origin,
            outcome=HandledAs(self.cleaned_data["outcome"]),
            evidence=self.cleaned_data["evidence"],
            **self._common(),
        )


class DiscardForm(ActionForm):
    """Give the promise up."""

    act = Action.DISCARD
    title = _("Discard")
    button = _("Discard the message")
    button_class = "desk-danger"
    promise = _("The promise will not be kept. Only for what should never have been promised.")
    done = _("Discarded.")
    lets_others_go = True
    confirm_text = _("I understand that nobody will get what was promised")

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Discard."""
        operate.discard(message_id, actor=actor, origin=origin, **self._common())


class ReopenForm(ActionForm):
    """Take a decision back."""

    act = Action.REOPEN
    title = _("Reopen")
    button = _("Reopen")
    promise = _("The message waits for a person again, as before it was closed by hand.")
    done = _("Reopened: it waits for a person again.")

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Reopen."""
        operate.reopen(message_id, actor=actor, origin=origin, **self._common())
