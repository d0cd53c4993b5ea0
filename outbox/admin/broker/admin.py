"""The page of the broker: its queues and nodes, its dead letters, and the form that discards those."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy

from outbox.admin.base import DeskAdmin, site_of
from outbox.admin.broker.forms import DiscardLettersForm
from outbox.admin.broker.page import read_broker_page
from outbox.admin.forms import Panel, lacks_permission
from outbox.admin.operations.places import Places
from outbox.models import DeadLetter
from outbox.operate.actions import Action


@admin.register(DeadLetter)
class DeadLetterAdmin(DeskAdmin):
    """The broker, as it was last seen, and its dead letters."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the broker, or discard the dead letters that were shown and show it again."""
        self.check_view_permission(request)
        form = DiscardLettersForm()
        if request.method == "POST":
            form = DiscardLettersForm(request.POST)
            if self.carry_out(request, form, None, seen=dict, done=lambda: form.done):
                return HttpResponseRedirect(request.path)
        page = read_broker_page(Places(request.user, site_of(request)))
        if not form.is_bound:
            form = DiscardLettersForm(initial={"letters": ",".join(str(one.letter.pk) for one in page.letters)})
        refusal = lacks_permission(Action.DISCARD_LETTERS, request.user)
        context = {
            **self.page_context(request, gettext_lazy("Broker")),
            "broker": page,
            "panels": [Panel(form, refusal, is_open=form.is_bound)] if page.letters else [],
            "here": request.path,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/broker.html", context)

    def change_view(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """Show the page of the broker: a letter has none of its own."""
        self.check_view_permission(request)
        return HttpResponseRedirect(self.list_url())
