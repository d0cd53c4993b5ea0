"""What can be done to many failed messages at once: a button for each, and why it is not open to this person."""

from dataclasses import dataclass

from django.utils.translation import gettext

from outbox.admin.forms import lacks_permission
from outbox.admin.keys import KEYS, key_of_all
from outbox.models.bulk import BulkVerb
from outbox.operate import Person
from outbox.operate.actions import Action


@dataclass(frozen=True, slots=True)
class VerbButton:
    """One thing that can be done to many failed messages, and why it is not open to this person, if it is not."""

    verb: str
    label: str
    refusal: str

    @property
    def key(self) -> str:
        """The key that leads to it where it is done to all that match."""
        return key_of_all(self.verb)

    @property
    def key_of_picked(self) -> str:
        """The key that leads to it where it is done to what was picked."""
        return KEYS[Action(self.verb)]


def for_all(user: Person) -> list[VerbButton]:
    """Return what can be done to all that match."""
    labels = {
        BulkVerb.RETRY: gettext("Retry all…"),
        BulkVerb.EDIT: gettext("Edit and retry all…"),
        BulkVerb.HANDLE: gettext("Mark all as handled…"),
        BulkVerb.DISCARD: gettext("Discard all…"),
    }
    return [VerbButton(verb.value, label, refusal_of_verb(verb, user)) for verb, label in labels.items()]


def for_picked(user: Person) -> list[VerbButton]:
    """Return what can be done to the rows picked in the queue, beside retrying them."""
    labels = {
        BulkVerb.EDIT: gettext("Edit and retry selected…"),
        BulkVerb.HANDLE: gettext("Mark selected as handled…"),
        BulkVerb.DISCARD: gettext("Discard selected…"),
    }
    return [VerbButton(verb.value, label, refusal_of_verb(verb, user)) for verb, label in labels.items()]


def refusal_of_verb(verb: BulkVerb, user: Person) -> str:
    """Return why this person may not prepare such an operation, in words; empty if they may."""
    needed = [Action.BULK_START, Action(verb), *([Action.REVEAL] if verb == BulkVerb.EDIT else [])]
    return next((why for act in needed if (why := lacks_permission(act, user))), "")


def may_prepare(user: Person) -> bool:
    """Tell whether there is anything that this person may do to many messages."""
    return not all(refusal_of_verb(verb, user) for verb in BulkVerb)
