"""Why failures stand in one group: what they have in common, and what was left out of the comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.models import FailureGroup

PLACEHOLDERS: Mapping[str, Promise] = {
    "<value>": gettext_lazy("a column's value"),
    "<uuid>": gettext_lazy("a UUID"),
    "<time>": gettext_lazy("a date or a time"),
    "<mail>": gettext_lazy("a mail address"),
    "<url>": gettext_lazy("a web address"),
    "<address>": gettext_lazy("an address in memory"),
    "<text>": gettext_lazy("a text in quotation marks"),
    "<hex>": gettext_lazy("a long hexadecimal number"),
    "<n>": gettext_lazy("a number"),
}
"""What stands in a normalised text for what differs from case to case."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """The rule in a sentence, what was compared, and what each placeholder of the text stands for."""

    rule: str
    compared: Sequence[tuple[str, str]]
    placeholders: Sequence[tuple[str, Promise]]


def explain(group: FailureGroup) -> Grouping:
    """Return why the failures of a group are taken for one and the same."""
    if group.reason:
        rule = _(
            "No exception made it: all messages of one consumer that the machine gave up on for this reason are one."
        )
        return Grouping(rule, [(_("consumer"), group.consumer), (_("reason"), group.get_reason_display())], [])
    rule = _(
        "Failures are one and the same if all of the following is alike. Line numbers do not count, and neither does "
        "what differs from case to case: in the text a placeholder stands for it."
    )
    compared = [
        (_("consumer"), group.consumer),
        (_("exception"), group.exception),
        (_("place in the code, or the code of the error"), group.place),
        (_("text"), group.title),
    ]
    found = [(mark, meaning) for mark, meaning in PLACEHOLDERS.items() if mark in group.title]
    return Grouping(rule, [(label, value) for label, value in compared if value], found)
