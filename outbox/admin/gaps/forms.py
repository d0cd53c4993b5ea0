"""The form by which a person closes a gap."""

from django.utils.translation import gettext_lazy as _

from outbox.admin.forms import ReasonedForm
from outbox.external.sequences.acts import close_gap
from outbox.operate import Actor
from outbox.operate.actions import Action


class CloseForm(ReasonedForm):
    """Say that a person has seen to what is missing."""

    act = Action.CLOSE_GAP
    title = _("Close the gap")
    button = _("Close the gap")
    promise = _(
        "You have seen to what is missing: its sender has sent it anew, under another number, or it is not needed. If "
        "it comes after all, it is taken in as usual."
    )
    done = _("Closed.")

    def carry_out(self, gap_id: int, *, actor: Actor, origin: str) -> None:
        """Close it."""
        close_gap(gap_id, actor=actor, origin=origin, reason=self.cleaned_data["reason"])
