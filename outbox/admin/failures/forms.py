"""The forms by which an operator writes down what is being done about a failure group, and what is one with it."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from outbox import operate
from outbox.admin.failures.groups import GroupSummary
from outbox.admin.forms import FencedForm, ReasonedForm
from outbox.models import GroupState
from outbox.operate import Actor
from outbox.operate.actions import Action
from outbox.operate.text_checks import NOTE_LENGTH, OWNER_LENGTH, REASON_LENGTH, TICKET_LENGTH


class MergeForm(FencedForm):
    """Which group is to stand for this one as well, and the revision that the operator was looking at."""

    act = Action.MERGE
    title = _("Merge into another group")
    button = _("Merge")
    promise = _(
        "For what looks like two failures and has one cause. The other group then stands for both, also for what fails "
        "from now on; what is written down there holds. It can be split off again."
    )
    done = _("Merged: this group stands for both.")

    into = forms.ChoiceField(label=_("Into"))

    def __init__(self, *args: Any, others: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        into: Any = self.fields["into"]
        into.choices = [("", "---------"), *others]

    def carry_out(self, fingerprint: str, *, actor: Actor, origin: str) -> None:
        """Call ``operate`` with what was entered."""
        operate.merge_group(fingerprint, actor=actor, origin=origin, **self.cleaned_data)


class SplitForm(FencedForm):
    """The revision of a merged group that the operator was looking at."""

    act = Action.SPLIT
    title = _("Split off")
    button = _("Split off")
    promise = _("The group stands for itself again.")
    done = _("Split off: it stands for itself again.")

    def carry_out(self, fingerprint: str, *, actor: Actor, origin: str) -> None:
        """Call ``operate``."""
        operate.split_group(fingerprint, actor=actor, origin=origin, **self.cleaned_data)


class TriageForm(FencedForm, ReasonedForm):
    """State, owner, ticket and note, and the revision that the operator was looking at."""

    act = Action.TRIAGE
    title = _("What is being done about it")
    button = _("Save")
    promise = _("For everybody who meets this failure. Nothing is retried by it.")
    done = _("Written down.")

    was = forms.ChoiceField(choices=GroupState.choices, widget=forms.HiddenInput)
    state = forms.ChoiceField(
        label=_("State"),
        choices=GroupState.choices,
        help_text=_("Fixed: if it happens again, it is new again, and shown as having come back."),
    )
    ignored_up_to = forms.IntegerField(
        label=_("Ignored up to so many failures"),
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text=_("Only where it is ignored: beyond that it is shown as open again."),
    )
    owner = forms.CharField(label=_("Who sees to it"), max_length=OWNER_LENGTH, required=False)
    ticket = forms.CharField(
        label=_("Ticket"), max_length=TICKET_LENGTH, required=False, help_text=_("A number, or a web address.")
    )
    note = forms.CharField(
        label=_("Note"),
        max_length=NOTE_LENGTH,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 40}),
        help_text=_("What is known, and what the next person should do or leave alone."),
    )
    reason = forms.CharField(
        label=_("Reason (for the audit, may be empty)"),
        max_length=REASON_LENGTH,
        required=False,
        widget=forms.TextInput,
    )
    field_order = ["revision", "was", "state", "ignored_up_to", "owner", "ticket", "note", "reason"]

    @staticmethod
    def initial_of(summary: GroupSummary) -> dict[str, Any]:
        """Return what the form shows first."""
        group = summary.group
        return {
            "revision": group.revision,
            "was": group.state,
            "state": group.state,
            "ignored_up_to": group.ignored_up_to or max(2 * summary.total, summary.total + 100),
            "owner": group.owner,
            "ticket": group.ticket,
            "note": group.note,
        }

    def carry_out(self, fingerprint: str, *, actor: Actor, origin: str) -> None:
        """Call ``operate`` with what was entered."""
        given = self.cleaned_data
        operate.set_group(
            fingerprint,
            actor=actor,
            origin=origin,
            **{**given, "state": GroupState(given["state"]), "was": GroupState(given["was"])},
        )
