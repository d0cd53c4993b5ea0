"""The page on which one payload is edited: a form of the project's or JSON, what it changes, and a rehearsal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django import forms
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from outbox import operate, registry
from outbox.admin import rehearsing
from outbox.admin.edit_forms import form_of
from outbox.admin.forms import lacks_permission
from outbox.admin.json_text import as_json, refused_on_the_form
from outbox.admin.messages.forms import ActionForm
from outbox.admin.visible import TURNS_OR_HIDES, make_visible
from outbox.errors import NotAllowed
from outbox.models import Evidence, Message
from outbox.operate import Actor, Person
from outbox.operate.actions import Action, why_not
from outbox.operate.asking import can_be_asked
from outbox.operate.differences import MISSING, Difference
from outbox.operate.edits import check_edit, why_not_alone
from outbox.operate.evidence import issued_by
from outbox.operate.json_texts import read_json
from outbox.operate.patch import Patch
from outbox.operate.suspects import may_have_acted
from outbox.rehearsal import possible

PREFIX = "payload"


class EditForm(ActionForm):
    """Give a failed message another payload and try it again."""

    act = Action.EDIT
    title = _("Edit and retry")
    button = _("Edit and retry")
    promise = _("A fresh set of tries with the new payload. The old one is kept.")
    done = _("Edited, and pending again: a worker takes it up now.")
    done_so_far = _("Edited, and pending again.")
    confirm_text = _("I know that it was issued already")

    payload = forms.CharField(
        label=_("Payload"),
        strip=False,
        widget=forms.Textarea(attrs={"rows": 14, "cols": 60, "spellcheck": "false", "class": "desk-json"}),
        help_text=_("JSON. The consumer has locked no key of it."),
    )
    as_new_order = forms.BooleanField(
        label=_("I have asked the other side. Send it as a new order, with a new idempotency key"),
        help_text=_(
            "An attempt may have reached the other side. Under the old key it would answer with the old order."
        ),
    )
    field_order = ["revision", "payload", "as_new_order", "confirm", "reason"]

    def clean_payload(self) -> Any:
        """Return what the text says."""
        with refused_on_the_form():
            return read_json(self.cleaned_data["payload"])

    def tell_of_evidence(self, proof: Evidence | None) -> None:
        """Ask for a confirmation where evidence says that it was issued, and only there."""
        if proof is None:
            del self.fields["confirm"]
        self._confirm_that_it_was_issued(proof)

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Edit and retry; the editor has put the new payload into what was entered."""
        operate.edit(
            message_id,
            actor=actor,
            origin=origin,
            payload=self.cleaned_data["payload"],
            as_new_order=self.cleaned_data.get("as_new_order", False),
            despite_evidence=self.cleaned_data.get("confirm", False),
            **self._common(),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One key that an edit changes, with both values as text; empty for what is not there."""

    path: str
    before: str
    after: str


class Editor:
    """The forms of one message's edit, and what they come to."""

    def __init__(self, message: Message, data: Any = None) -> None:
        self.message = message
        form_class = form_of(self.message.consumer) if isinstance(self.message.payload, dict) else None
        initial = {"revision": self.message.revision, "payload": as_json(self.message.payload)}
        self.form = EditForm(data, initial=None if data is not None else initial)
        self.fields = None if form_class is None else form_class(data, prefix=PREFIX, initial=self.message.payload)
        # Nobody has closed what no operator has ever changed.
        self.form.tell_of_evidence(issued_by(message.pk) if message.revision else None)
        if not may_have_acted(self.message):
            del self.form.fields["as_new_order"]
        elif can_be_asked(registry.get(self.message.consumer)):
            field = self.form.fields["as_new_order"]
            field.required = False
            field.label = gettext("Send it as a new order, with a new idempotency key")
            field.help_text = gettext("The other side is asked first. If it knows nothing, the old key may stay.")
        consumer = registry.get(self.message.consumer)
        locked = consumer.locked if consumer else ()
        if self.fields is not None:
            del self.form.fields["payload"]
            for name in set(self.fields.fields) & set(locked):
                self.fields.fields[name].disabled = True
        elif locked:
            text = gettext("JSON. Locked, so that nobody may change them: %(keys)s.")
            self.form.fields["payload"].help_text = text % {"keys": ", ".join(locked)}

    @property
    def is_stale(self) -> bool:
        """Tell whether what was entered began from another revision of the message than it has now."""
        return str(self.form.data.get("revision", "")) != str(self.message.revision)

    @property
    def typed(self) -> str:
        """What was entered, as a text to take it from."""
        if self.fields is None:
            return str(self.form.data.get("payload", ""))
        return "\n".join(f"{field.label}: {field.data}" for field in self.fields if not field.field.disabled)

    def is_valid(self) -> bool:
        """Tell whether both forms are filled in, and put the new payload into what was entered."""
        entered = [form.is_valid() for form in (self.fields, self.form) if form is not None]
        if not all(entered):
            return False
        if self.fields is not None:
            try:
                self.form.cleaned_data["payload"] = _with_fields(self.message.payload, self.fields)
            except TypeError as error:
                self.form.add_error(None, gettext("The form gives what is no JSON: %(what)s") % {"what": error})
                return False
        return True

    @property
    def payload(self) -> Any:
        """The new payload, if what was entered is valid."""
        return self.form.cleaned_data["payload"]

    @property
    def digest(self) -> str:
        """What tells one new payload, for this revision of the message, from another."""
        return sha256(f"{self.message.revision} {json.dumps(self.payload, sort_keys=True)}".encode()).hexdigest()

    def changes(self) -> list[Change]:
        """Return what it changes; where that is not allowed, say so on the form and return nothing."""
        consumer = registry.get(self.message.consumer)
        if consumer is None:
            return []
        try:
            found = check_edit(consumer, self.message.payload, self.payload)
        except NotAllowed as refusal:
            self.form.add_error(None, str(refusal))
            return []
        return [_change(each) for each in found]

    def rehearse(self, user: Person, *, origin: str) -> rehearsing.Line | None:
        """Return what the message would come to with the new payload, if its consumer can be rehearsed here."""
        if not possible.is_promised(self.message.consumer) or rehearsing.refusal(user):
            return None
        patch = Patch.between(self.message.payload, self.payload)
        if patch is None:
            return None
        return rehearsing.rehearse_message(self.message, actor=user, origin=origin, patch=patch)


@dataclass(frozen=True, slots=True)
class EditPage:
    """What the page shows: the forms, what an edit would change, and what was typed over a payload that has changed."""

    editor: Editor
    changes: Sequence[Change] = ()
    typed: str = ""


def refusal(message: Message, user: Person) -> str:
    """Return why this person cannot edit this message now, in words; empty if they can."""
    if reason := why_not(Action.EDIT, message) or lacks(user):
        return reason
    if registry.get(message.consumer) is None:
        return gettext("The running code has no consumer of this name.")
    return why_not_alone(message)


def lacks(user: Person) -> str:
    """Return that this person may not edit, in words; empty if they may. Who edits a payload sees it."""
    return lacks_permission(Action.EDIT, user) or lacks_permission(Action.REVEAL, user)


def _with_fields(payload: Mapping[str, Any], form: forms.Form) -> dict[str, Any]:
    """Return the payload with what was changed in the form; all else keeps its very value.

    An empty field adds no key that was not there. Raises ``TypeError`` for what is no JSON.
    """
    after = dict(payload)
    for name, field in form.fields.items():
        entered, before = form.cleaned_data[name], payload.get(name)
        if field.disabled or (name in payload and _is_as_shown(form[name], before, entered)):
            continue
        if name in payload or entered not in (None, "", False, []):
            value = _with_hidden(entered, before) if isinstance(entered, str) else entered
            after[name] = json.loads(json.dumps(value, cls=DjangoJSONEncoder))
    return after


def _is_as_shown(field: forms.BoundField, before: Any, entered: Any) -> bool:
    """Tell whether a field comes back as it was shown: a text to the letter, any other by its value."""
    if isinstance(before, str) and isinstance(field.data, str):
        return _unix(field.data) == _unix(make_visible(before))
    try:
        return bool(field.field.clean(before) == entered)
    except forms.ValidationError:
        return False


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def _with_hidden(entered: str, before: Any) -> str:
    """Put back the characters that the page has shown by their names, and lines as they were: browsers send CRLF."""
    known = before if isinstance(before, str) else ""
    for hidden in set(TURNS_OR_HIDES.findall(known)):
        entered = entered.replace(make_visible(hidden), hidden)
    return entered if "\r" in known else _unix(entered)


def _change(found: Difference) -> Change:
    before, after = ("" if value is MISSING else as_json(value) for value in (found.before, found.after))
    return Change(found.path, before, after)
