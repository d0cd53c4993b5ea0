"""The form by which a winner says where a gift goes."""

import re
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from awards.characters import find_invisible
from awards.claims.claiming import Recipient
from awards.models.claim import (
    CITY_LENGTH,
    COUNTRY_LENGTH,
    NAME_LENGTH,
    PHONE_LENGTH,
    POSTCODE_LENGTH,
    STREET_LENGTH,
)

POSTCODE = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z -]*[0-9A-Za-z])?")
PHONE = re.compile(r"\+?[0-9](?:[0-9 ()/.-]{4,})")


def _text(label: Any, length: int, autocomplete: str, *, required: bool = True, kind: str = "text") -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": autocomplete, "type": kind})
    return forms.CharField(label=label, max_length=length, required=required, widget=widget)


class ClaimForm(forms.Form):
    """A postal address. What is typed in stands in no log and in no message."""

    name = _text(gettext_lazy("Name"), NAME_LENGTH, "name")
    street = _text(gettext_lazy("Street and number"), STREET_LENGTH, "street-address")
    postcode = _text(gettext_lazy("Postcode"), POSTCODE_LENGTH, "postal-code")
    city = _text(gettext_lazy("Town"), CITY_LENGTH, "address-level2")
    country = _text(gettext_lazy("Country"), COUNTRY_LENGTH, "country-name")
    phone = _text(gettext_lazy("Telephone, if you like"), PHONE_LENGTH, "tel", required=False, kind="tel")

    def clean(self) -> dict[str, Any]:
        """Refuse what is not seen, and what nobody could deliver to."""
        cleaned = super().clean() or self.cleaned_data
        for field, text in list(cleaned.items()):
            if find_invisible(text):
                self.add_error(field, _("Please use characters that can be seen."))
        self._refuse("postcode", POSTCODE, _("This is no postcode."))
        self._refuse("phone", PHONE, _("This is no telephone number."))
        for field in ("name", "street", "city", "country"):
            if (text := cleaned.get(field)) and not any(character.isalpha() for character in text):
                self.add_error(field, _("Please write it in letters."))
        return cleaned

    def _refuse(self, field: str, pattern: re.Pattern[str], said: str) -> None:
        text = self.cleaned_data.get(field)
        if text and not pattern.fullmatch(text):
            self.add_error(field, said)

    @property
    def recipient(self) -> Recipient:
        """What was entered."""
        return Recipient(**{field: self.cleaned_data[field] for field in self.fields})
