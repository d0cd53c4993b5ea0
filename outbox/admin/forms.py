"""What the forms by which an operator acts have in common: each asks for what ``operate`` needs."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from outbox.admin.keys import KEYS
from outbox.operate import Person
from outbox.operate.actions import PERMISSIONS, Action
from outbox.operate.text_checks import REASON_LENGTH


class WordedForm(forms.Form):
    """One act, in words."""

    act: Action
    title: Promise
    button: Promise
    promise: Promise
    done: Promise
    button_class = "default"
    template_name = "outbox/desk/act_form.html"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", f"{self.act.value}-%s")
        super().__init__(*args, **kwargs)


class FencedForm(WordedForm):
    """One act, in words, and the revision of its subject that the operator was looking at."""

    revision = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class ReasonedForm(WordedForm):
    """One act, in words, and the reason for it."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 40}),
        help_text=_("Kept in the audit, for whoever asks later."),
    )


@dataclass(frozen=True, slots=True)
class Panel:
    """One act as a page offers it: its form, and why it is not open to this person now, if it is not."""

    form: WordedForm
    refusal: str
    is_open: bool

    @property
    def key(self) -> str:
        """The key that leads to it."""
        return KEYS[self.form.act]


def lacks_permission(act: Action, user: Person) -> str:
    """Return that this person may not do this, in words; empty if they may. ``operate`` checks it again."""
    if user.has_perm(PERMISSIONS[act]):
        return ""
    return gettext("You may not do this; it takes the permission “%(permission)s”.") % {"permission": PERMISSIONS[act]}
