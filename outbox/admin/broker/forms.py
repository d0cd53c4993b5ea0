"""The form by which dead letters are discarded."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from outbox.admin.forms import ReasonedForm
from outbox.broker.dead_letters import READ_AT_ONCE
from outbox.models.row_ids import read_id
from outbox.operate import Actor, discard_letters
from outbox.operate.actions import Action


class DiscardLettersForm(ReasonedForm):
    """Discard the dead letters that the page has shown; what has come since stays."""

    act = Action.DISCARD_LETTERS
    title = _("Discard the dead letters that are shown")
    button = _("Discard them")
    button_class = "desk-danger"
    promise = _(
        "They are taken off their queue within seconds. The messages that they named are not touched: what is "
        "unfinished of them goes on."
    )
    done = _("Discarded.")

    letters = forms.CharField(widget=forms.HiddenInput)

    def clean_letters(self) -> list[int]:
        """Return the ids of the letters that were shown."""
        ids = [read_id(part) for part in self.cleaned_data["letters"].split(",")[: READ_AT_ONCE + 1]]
        if None in ids or len(ids) > READ_AT_ONCE:
            raise ValidationError(gettext("Load the page again: it has not said which dead letters it showed."))
        return [id for id in ids if id is not None]

    def carry_out(self, _subject: object, *, actor: Actor, origin: str) -> None:
        """Discard them."""
        given = self.cleaned_data
        discard_letters(given["letters"], actor=actor, reason=given["reason"], origin=origin)
