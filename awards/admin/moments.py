"""A field for a day and a time that a browser helps with, that shows what was kept, and that says whose time it is."""

from datetime import datetime
from typing import Any

from django import forms
from django.db import models
from django.forms import Script
from django.utils import timezone
from django.utils.functional import lazystr
from django.utils.text import format_lazy
from django.utils.translation import gettext as _

YEARS = range(1000, 9999)


class MomentInput(forms.DateTimeInput):
    """One input for both. Its format is the one that browsers read."""

    input_type = "datetime-local"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs, format="%Y-%m-%dT%H:%M")

    class Media:
        js = [Script("awards/moments.js", defer=True)]

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Name the zone for the script that says what the time is on the reader's own clock."""
        context: dict[str, Any] = super().get_context(name, value, attrs)
        here = {"data-zone": timezone.get_current_timezone_name(), "data-here": _("On your own clock: …")}
        context["widget"]["attrs"] |= here
        return context

    def format_value(self, value: Any) -> str | None:
        """Show seconds where there are any, so that saving the form changes nothing."""
        if isinstance(value, datetime) and value.second:
            return value.isoformat(timespec="seconds")
        return super().format_value(value)


def refuse_odd_year(moment: datetime) -> None:
    """Refuse a year that is a slip of the fingers; the first and the last cannot even be written in every zone."""
    if moment.year not in YEARS:
        raise forms.ValidationError(_("Check the year: it has four digits, such as 2026."))


class MomentField(forms.DateTimeField):
    """A day and a time, with the zone in which it is read and shown."""

    widget = MomentInput
    default_validators = [refuse_odd_year]

    def __init__(self, *, help_text: Any = "", **kwargs: Any) -> None:
        zone = lazystr(_Zone())
        super().__init__(help_text=format_lazy("{} {}", help_text, zone) if help_text else zone, **kwargs)


MOMENTS: dict[Any, dict[str, Any]] = {models.DateTimeField: {"form_class": MomentField, "widget": MomentInput}}
"""For the admins of tables with such fields."""


class _Zone:
    """The sentence that names the zone, in the language and the zone of whoever reads it."""

    def __str__(self) -> str:
        return _("In the time zone %(zone)s.") % {"zone": timezone.get_current_timezone_name()}


def refuse_past(moment: datetime) -> None:
    """Refuse a time that is over."""
    if moment <= timezone.now():
        raise forms.ValidationError(_("This time is over. Give a later one, or leave it empty."))
