"""The form on a campaign's page."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from awards.models.draw import PERSON_LENGTH


class DrawForm(forms.Form):
    """Who draws, if that is not known, and the one-time id that makes a double click or a reload the same draw."""

    request_id = forms.UUIDField(widget=forms.HiddenInput)
    link = forms.CharField(widget=forms.HiddenInput, required=False)
    person = forms.CharField(
        label=_("Your e-mail address or name"),
        max_length=PERSON_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "email", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, is_known: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_known:
            del self.fields["person"]
