"""The forms by which an operator starts a bulk operation, approves it, holds it up and lets it go on."""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from outbox.admin.forms import FencedForm, Panel, ReasonedForm, lacks_permission
from outbox.admin.json_text import refused_on_the_form
from outbox.bulk import operations, selection
from outbox.bulk.selection import Selection
from outbox.models import BulkOperation, HandledAs
from outbox.models.bulk import BulkState, BulkVerb, Why
from outbox.models.evidence import EVIDENCE_LENGTH
from outbox.operate import Actor, Person
from outbox.operate.actions import Action
from outbox.operate.patch import Patch, read_renames, read_values

CANARY = 5
STOP_PERCENT = 10
LISTED = (BulkVerb.RETRY, BulkVerb.HANDLE, BulkVerb.DISCARD)
"""What can be done to a list of ids that was uploaded."""
LIST_BYTES = 8 * 1024 * 1024


class OperationForm(FencedForm, ReasonedForm):
    """An act on a bulk operation, and the revision of it that the operator was looking at."""

    operate: ClassVar[Callable[..., BulkOperation]]

    def carry_out(self, operation_id: int, *, actor: Actor, origin: str) -> None:
        """Call ``operations`` with what was entered."""
        type(self).operate(operation_id, actor=actor, origin=origin, **self.entered())

    def entered(self) -> dict[str, Any]:
        """Return what was entered, as the act takes it."""
        return {"revision": self.cleaned_data["revision"], "reason": self.cleaned_data["reason"]}


class StartForm(OperationForm):
    """Start what was prepared: how fast, and what is waited for."""

    act = Action.BULK_START
    operate = staticmethod(operations.start)
    title = _("Start")
    button = _("Start")
    promise = _("Workers do it in the background, also when you close the page. It can be paused and cancelled.")
    done = _("Started.")

    outcome = forms.ChoiceField(label=_("Outcome"), choices=[("", "---------"), *HandledAs.choices])
    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=EVIDENCE_LENGTH,
        help_text=_("An order number, a link or a note that proves it. The same for every message of the set."),
    )
    canary = forms.IntegerField(
        label=_("Try first"),
        min_value=0,
        max_value=1000,
        required=False,
        initial=CANARY,
        help_text=_(
            "So many messages that can run now. The rest follows when all of them have succeeded; 0: no trial."
        ),
    )
    stop_percent = forms.IntegerField(
        label=_("Stop above … % failed again"),
        min_value=0,
        max_value=99,
        required=False,
        initial=STOP_PERCENT,
        help_text=_("Counted by the first attempt after the retry. Then 1,000 at most are under way. Empty: never."),
    )
    rate = forms.IntegerField(
        label=_("Messages per second"),
        min_value=1,
        max_value=operations.FASTEST,
        required=False,
        help_text=_("Empty: as fast as it goes."),
    )
    include_suspects = forms.BooleanField(required=False)
    confirm = forms.BooleanField(label=_("I understand that nobody will get what was promised"))
    field_order = ["revision", "outcome", "evidence", "canary", "stop_percent", "rate", "include_suspects", "reason"]

    def __init__(self, *args: Any, operation: BulkOperation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        suspects = operation.preview.get("left_out", {}).get(Why.MAY_HAVE_ACTED, 0)
        wanted = {
            BulkVerb.RETRY: {"canary", "stop_percent", *({"include_suspects"} if suspects else ())},
            BulkVerb.EDIT: {"canary", "stop_percent"},
            BulkVerb.HANDLE: {"outcome", "evidence"},
            BulkVerb.DISCARD: {"confirm"},
        }.get(BulkVerb(operation.verb), set())
        for name in {"outcome", "evidence", "canary", "stop_percent", "include_suspects", "confirm"} - wanted:
            del self.fields[name]
        if suspects and "include_suspects" in self.fields:
            self.fields["include_suspects"].label = gettext(
                "Also the %(count)d where the other side may have acted: I have asked it, and it has not"
            ) % {"count": suspects}

    def entered(self) -> dict[str, Any]:
        """Return what was entered, as ``start`` takes it."""
        given = {name: value for name, value in self.cleaned_data.items() if name not in ("confirm", "outcome")}
        if "canary" in given:
            given["canary"] = given["canary"] or 0
        if outcome := self.cleaned_data.get("outcome"):
            given["outcome"] = HandledAs(outcome)
        return given


class ApproveForm(OperationForm):
    """Let an operation begin that somebody else has started."""

    act = Action.BULK_APPROVE
    operate = staticmethod(operations.approve)
    title = _("Approve")
    button = _("Approve: it begins now")
    promise = _("You have looked at the set and the reason, and answer for it as the second person.")
    done = _("Approved: it begins now.")


class PauseForm(OperationForm):
    """Hold an operation up."""

    act = Action.BULK_PAUSE
    operate = staticmethod(operations.pause)
    title = _("Pause")
    button = _("Pause the operation")
    promise = _("No further message is touched until somebody lets it go on. What was retried goes its way.")
    done = _("Paused: no further message is touched.")


class ResumeForm(OperationForm):
    """Let an operation go on."""

    act = Action.BULK_RESUME
    operate = staticmethod(operations.resume)
    title = _("Go on")
    button = _("Let it go on")
    promise = _("It goes on where it stopped. A stop rule counts anew from here.")
    done = _("It goes on.")


class CancelForm(OperationForm):
    """End an operation."""

    act = Action.BULK_CANCEL
    operate = staticmethod(operations.cancel)
    title = _("Cancel the rest")
    button = _("Cancel the rest")
    button_class = "desk-danger"
    promise = _("What has not had its turn stays as it is. What was done stays done.")
    done = _("Cancelled: what has not had its turn stays as it is.")


FORMS: dict[str, type[OperationForm]] = {
    form.act.value: form for form in (StartForm, ApproveForm, ResumeForm, PauseForm, CancelForm)
}


class ListForm(forms.Form):
    """A list of ids or business ids, pasted or as a file, and what is to be done to the messages."""

    template_name = "outbox/desk/act_form.html"

    verb = forms.ChoiceField(label=_("Act"), choices=[(verb.value, verb.label) for verb in LISTED])
    by = forms.ChoiceField(label=_("The list has"), choices=[("ids", _("message ids")), ("keys", _("business ids"))])
    text = forms.CharField(
        label=_("One a line"), required=False, widget=forms.Textarea(attrs={"rows": 8, "cols": 40}), strip=False
    )
    file = forms.FileField(label=_("or a text file"), required=False, help_text=_("UTF-8, one a line, up to 8 MiB."))

    def clean(self) -> dict[str, Any]:
        """Return what was entered, with the lines of the list."""
        entered: dict[str, Any] = super().clean() or self.cleaned_data
        text = entered.get("text") or ""
        if upload := entered.get("file"):
            if upload.size > LIST_BYTES:
                raise forms.ValidationError(_("The file is too large."))
            try:
                text = upload.read().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise forms.ValidationError(_("The file is no UTF-8 text.")) from error
        entered["lines"] = [line for line in map(str.strip, text.replace("\0", "").splitlines()) if line]
        if not entered["lines"]:
            raise forms.ValidationError(_("The list is empty."))
        return entered

    def select(self) -> Selection:
        """Return the messages of the list."""
        listed = selection.listed_ids if self.cleaned_data["by"] == "ids" else selection.listed_keys
        return listed(self.cleaned_data["lines"])


class PatchForm(forms.Form):
    """One change for many payloads, key by key."""

    template_name = "outbox/desk/act_form.html"

    rename = forms.CharField(
        label=_("Rename keys"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 40, "spellcheck": "false"}),
        help_text=_("One a line: old = new. A key inside an object is written with dots: address.street"),
    )
    set = forms.CharField(
        label=_("Set keys"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 40, "spellcheck": "false"}),
        help_text=_('One a line: key = JSON. Text stands in quotes: city = "Bonn". Numbers do not: amount = 12.'),
    )
    remove = forms.CharField(
        label=_("Remove keys"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 40, "spellcheck": "false"}),
        help_text=_("One a line."),
    )

    def clean_rename(self) -> dict[str, str]:
        """Return the new name of each key."""
        with refused_on_the_form():
            return read_renames(_lines(self.cleaned_data["rename"]))

    def clean_set(self) -> dict[str, Any]:
        """Return the new value of each key."""
        with refused_on_the_form():
            return read_values(_lines(self.cleaned_data["set"]))

    def clean_remove(self) -> tuple[str, ...]:
        """Return the keys to be removed."""
        return tuple(_lines(self.cleaned_data["remove"]))

    def clean(self) -> dict[str, Any]:
        """Return the patch as well."""
        entered: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            entered["patch"] = Patch(entered["rename"], entered["set"], entered["remove"])
            if not entered["patch"]:
                raise forms.ValidationError(_("Say what is to be changed in the payloads."))
        return entered


def _lines(text: str) -> list[str]:
    return [line for line in map(str.strip, text.splitlines()) if line]


def make_form(act: str, operation: BulkOperation, data: Any = None) -> OperationForm | None:
    """Return the form of the act of that name, with what was posted; None for an unknown act."""
    form_class = FORMS.get(act)
    if form_class is None:
        return None
    given: dict[str, Any] = {"operation": operation} if form_class is StartForm else {}
    if data is None:
        given["initial"] = {"revision": operation.revision}
    return form_class(data, **given)


def build_panels(operation: BulkOperation, user: Person, bound: OperationForm | None) -> list[Panel]:
    """Return the acts of the operation's state; one that was refused stays with what was entered."""
    shown: list[Panel] = []
    for act in FORMS:
        if operation.state not in operations.POSSIBLE[Action(act)] and not (bound and bound.act == act):
            continue
        if operation.state == BulkState.DRAFT and act == Action.BULK_CANCEL:
            continue  # a preview that nobody starts goes by itself
        form = bound if bound is not None and bound.act == act else make_form(act, operation)
        if form is None:
            continue
        why = refusal(Action(act), operation, user)
        shown.append(Panel(form, why, is_open=form is bound or (bound is None and not shown and not why)))
    return shown


def refusal(act: Action, operation: BulkOperation, user: Person) -> str:
    """Return why this person cannot do this to the operation now; empty if they can."""
    if why := operations.why_not(act, operation) or lacks_permission(act, user):
        return why
    verb = Action(operation.verb)
    if act is Action.BULK_START and (why := lacks_permission(verb, user)):
        return why
    if (
        act is Action.BULK_START
        and not operation.remaining
        and not (operation.verb == BulkVerb.RETRY and operation.preview.get("left_out", {}).get(Why.MAY_HAVE_ACTED))
    ):
        return gettext("Nothing is left to do: every message of the set is left out.")
    if act is Action.BULK_APPROVE and user.get_username() == operation.started_by:
        return gettext("You have started it yourself. It takes a second person to approve it.")
    return ""
