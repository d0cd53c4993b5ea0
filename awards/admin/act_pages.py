"""Pages beside Django's own: an act on a row, with its way back."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

Trail = Sequence[tuple[str, str]]
"""What stands between the app and the page, as (address, text)."""


def act_page(
    model_admin: "admin.ModelAdmin[Any]",
    request: HttpRequest,
    template: str,
    *,
    title: str,
    trail: Trail = (),
    context: dict[str, Any],
) -> HttpResponse:
    """Return a page of the admin with a title, and the list of the model and ``trail`` to go back by."""
    opts = model_admin.opts
    whole = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": opts,
        "media": model_admin.media,
        "trail": trail,
        "list_address": reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"),
        **context,
    }
    answer = TemplateResponse(request, template, whole)
    answer["Cache-Control"] = "no-store"
    return answer
