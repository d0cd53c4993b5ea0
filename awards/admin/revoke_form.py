"""The form by which awards are revoked: why, and whether their pieces can be won again."""

from typing import TypedDict

from django import forms
from django.utils.translation import gettext_lazy as _

from awards.admin.forms import VisibleTextForm
from awards.models.award import REASON_LENGTH

RESTOCK = {"": None, "yes": True, "no": False}


class HowRevoked(TypedDict):
    """How awards are revoked."""

    reason: str
    restock: bool | None


class RevokeForm(VisibleTextForm, forms.Form):
    """Why, and what becomes of the pieces."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LENGTH,
        help_text=_("Kept with the award, for whoever asks later. Leave names out."),
    )
    restock = forms.ChoiceField(
        label=_("The pieces"),
        required=False,
        choices=[
            ("", _("as the campaign says")),
            ("yes", _("can be won again")),
            ("no", _("stay taken")),
        ],
    )

    @property
    def how(self) -> HowRevoked:
        """What was entered."""
        return {"reason": self.cleaned_data["reason"], "restock": RESTOCK[self.cleaned_data["restock"]]}
