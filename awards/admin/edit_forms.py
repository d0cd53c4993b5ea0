"""How payloads of our messages are edited at the desk: the language of the mail is all that is left to choose."""

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from awards.listeners import CLAIMABLE_TOLD_BY, TOLD_BY
from outbox.admin import edit_form


@edit_form(CLAIMABLE_TOLD_BY)
@edit_form(TOLD_BY)
class LanguageForm(forms.Form):
    """The language in which the winner is told."""

    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
