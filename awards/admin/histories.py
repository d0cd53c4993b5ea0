"""The history of a row in the reader's language: what our acts write into it is one English word for each."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

WORDS = {
    "open": _("Opened the sale."),
    "close": _("Closed the sale."),
    "warm": _("Had the stock counted once more."),
    "switched on": _("Switched on."),
    "switched off": _("Switched off."),
    "copied": _("Copied from another campaign."),
    "revoked": _("Revoked."),
}
"""By what is stored, which programs read as well. Anything else is shown as it is."""


class HistoryInWords(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker only
    """Shows what was done as a sentence."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Put the sentence of each act where its word is."""
        page = super().history_view(request, object_id, extra_context)
        context = page.context_data if isinstance(page, TemplateResponse) else None
        for entry in (context or {}).get("action_list", ()):
            entry.change_message = str(WORDS.get(entry.change_message, entry.change_message))
        return page
