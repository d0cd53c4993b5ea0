"""The form on a campaign's page."""

from django import forms
from django.utils.translation import gettext_lazy as _

from awards.models.draw import PERSON_LENGTH


class DrawForm(forms.Form):
    """Who draws, and the one-time id that makes a double click or a reload the same draw."""

    request_id = forms.UUIDField(widget=forms.HiddenInput)
    person = forms.CharField(
        label=_("Your e-mail address or name"),
        max_length=PERSON_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "email", "autocapitalize": "none", "spellcheck": "false"}),
    )
