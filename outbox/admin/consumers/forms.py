"""The forms by which an operator holds a consumer back and lets it go on."""

from datetime import datetime, timedelta

from django import forms
from django.utils.translation import gettext_lazy as _

from outbox import operate
from outbox.admin.consumers.status import ConsumerStatus
from outbox.admin.forms import Panel, ReasonedForm, lacks_permission
from outbox.operate import Actor, Person
from outbox.operate.actions import Action

UNTIL_RESUMED = ""
SPANS = {
    "15": _("for 15 minutes"),
    "60": _("for an hour"),
    "240": _("for four hours"),
    "1440": _("for a day"),
    UNTIL_RESUMED: _("until somebody resumes it"),
}
"""How long a pause may last, by minutes."""


class HoldForm(ReasonedForm):
    """An act on a consumer, and the pause that the operator was looking at."""

    seen = forms.DateTimeField(required=False, widget=forms.HiddenInput)

    def carry_out(self, consumer: str, *, actor: Actor, origin: str) -> None:
        """Call ``operate`` with what was entered."""
        raise NotImplementedError

    @property
    def seen_pause(self) -> datetime | None:
        """The pause that was seen; None if there was none."""
        seen: datetime | None = self.cleaned_data["seen"]
        return seen


class PauseForm(HoldForm):
    """Hold the consumer back."""

    act = Action.PAUSE
    title = _("Pause")
    button = _("Pause the consumer")
    promise = _(
        "No message of this consumer is started any more; what a worker has begun it finishes. New messages are "
        "accepted and wait in the table, none is lost. One whose deadline passes meanwhile fails and waits for a "
        "person."
    )
    done = _("Paused. Workers have stopped taking up its messages.")

    lasting = forms.ChoiceField(
        label=_("How long"),
        choices=list(SPANS.items()),
        initial="60",
        required=False,
    )
    field_order = ["seen", "lasting", "reason"]

    def carry_out(self, consumer: str, *, actor: Actor, origin: str) -> None:
        """Pause."""
        minutes = self.cleaned_data["lasting"]
        operate.pause(
            consumer,
            seen=self.seen_pause,
            actor=actor,
            origin=origin,
            reason=self.cleaned_data["reason"],
            lasting=timedelta(minutes=int(minutes)) if minutes else None,
        )


class ProlongForm(PauseForm):
    """Replace the pause by another one."""

    title = _("Change the pause")
    button = _("Pause anew")
    promise = _("The pause begins anew from now, with your name and reason.")


class ResumeForm(HoldForm):
    """Let the consumer go on."""

    act = Action.RESUME
    title = _("Resume")
    button = _("Resume the consumer")
    promise = _("What has waited is sent to the workers within a second, the oldest first.")
    done = _("Resumed: what has waited goes to the workers now.")

    def carry_out(self, consumer: str, *, actor: Actor, origin: str) -> None:
        """Resume."""
        operate.resume(consumer, seen=self.seen_pause, actor=actor, origin=origin, reason=self.cleaned_data["reason"])


def form_for(act: str, status: ConsumerStatus) -> type[HoldForm] | None:
    """Return the form of the act of that name; None for an unknown one."""
    if act == Action.PAUSE:
        return ProlongForm if status.is_paused else PauseForm
    return ResumeForm if act == Action.RESUME else None


def build_panels(status: ConsumerStatus, user: Person, bound: HoldForm | None) -> list[Panel]:
    """Return the acts that belong to the consumer's state; one that was refused keeps what was entered."""
    classes = [ResumeForm, ProlongForm] if status.is_paused else [PauseForm]
    seen = status.state.paused_at if status.is_paused else None
    shown: list[Panel] = []
    for form_class in classes:
        if bound is not None and bound.act == form_class.act:
            shown.append(Panel(bound, lacks_permission(bound.act, user), is_open=True))
        else:
            form = form_class(initial={"seen": seen and seen.isoformat()})
            shown.append(Panel(form, lacks_permission(form.act, user), is_open=bound is None and not shown))
    return shown
