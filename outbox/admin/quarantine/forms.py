"""The forms by which a person settles what is quarantined."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from outbox.admin.forms import ReasonedForm
from outbox.external.ingest.acts import discard_quarantined, take_in_again
from outbox.operate import Actor
from outbox.operate.actions import Action


class TakeInForm(ReasonedForm):
    """Take a message in, now that the cause is mended."""

    act = Action.TAKE_IN
    title = _("Take in")
    button = _("Take in now")
    promise = _("Once the cause is mended: it is published as if it had just come, and consumers act on it.")
    done = _("Taken in.")

    as_new = forms.BooleanField(
        label=_("As a message of its own"),
        required=False,
        help_text=_("It is given a new id. For what has none, or whose id is known with other content."),
    )
    field_order = ["as_new", "reason"]

    def carry_out(self, quarantined_id: int, *, actor: Actor, origin: str) -> None:
        """Take it in."""
        given: dict[str, Any] = self.cleaned_data
        take_in_again(
            quarantined_id, actor=actor, origin=origin, reason=given["reason"], as_new=given.get("as_new", False)
        )


class DiscardForm(ReasonedForm):
    """Say that nobody is to act on a message."""

    act = Action.DISCARD_QUARANTINED
    title = _("Discard")
    button = _("Discard the message")
    button_class = "desk-danger"
    promise = _("No consumer will ever see the message. It is deleted in time.")
    done = _("Discarded.")

    def carry_out(self, quarantined_id: int, *, actor: Actor, origin: str) -> None:
        """Discard it."""
        discard_quarantined(quarantined_id, actor=actor, origin=origin, reason=self.cleaned_data["reason"])


FORMS: dict[str, type[TakeInForm | DiscardForm]] = {Action.TAKE_IN: TakeInForm, Action.DISCARD_QUARANTINED: DiscardForm}
