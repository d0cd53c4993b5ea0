"""The forms by which a person decides about a half message."""

from django import forms
from django.utils.translation import gettext_lazy as _

from outbox.admin.forms import FencedForm, ReasonedForm
from outbox.external.halves import deciding
from outbox.operate import Actor
from outbox.operate.actions import Action


class PublishForm(FencedForm, ReasonedForm):
    """Say that the write was done."""

    act = Action.HALF_PUBLISH
    title = _("Publish")
    button = _("Publish the message")
    promise = _("The write was done on the other side. The message is published now, as its producer prepared it.")
    done = _("Published.")

    confirm = forms.BooleanField(label=_("I have seen the write on the other side"))

    def carry_out(self, half_id: int, *, actor: Actor, origin: str) -> None:
        """Publish it."""
        given = self.cleaned_data
        deciding.publish_by_hand(
            half_id, revision=given["revision"], actor=actor, reason=given["reason"], origin=origin
        )


class TakeBackForm(FencedForm, ReasonedForm):
    """Say that the write was not done and never will be."""

    act = Action.HALF_TAKE_BACK
    title = _("Take back")
    button = _("Take the half message back")
    button_class = "desk-danger"
    promise = _("No message is published. If the write comes after all, nobody hears of it.")
    done = _("Taken back.")

    confirm = forms.BooleanField(label=_("The write is not there, and its producer can do it no more"))

    def carry_out(self, half_id: int, *, actor: Actor, origin: str) -> None:
        """Take it back."""
        given = self.cleaned_data
        deciding.take_back_by_hand(
            half_id, revision=given["revision"], actor=actor, reason=given["reason"], origin=origin
        )


class AskAgainForm(FencedForm):
    """Have the check asked once more."""

    act = Action.HALF_ASK
    title = _("Ask again")
    button = _("Ask the check now")
    promise = _("With a fresh set of questions. For when the check, or the other side, was mended.")
    done = _("The check is asked now.")

    def carry_out(self, half_id: int, *, actor: Actor, origin: str) -> None:
        """Have it asked."""
        deciding.ask_again(half_id, revision=self.cleaned_data["revision"], actor=actor, origin=origin)


FORMS = (PublishForm, TakeBackForm, AskAgainForm)
