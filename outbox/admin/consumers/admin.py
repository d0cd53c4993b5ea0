"""The consumers: how each stands, and the page on which one is held back or let go on."""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox import audit
from outbox.admin import timeline, tones
from outbox.admin.base import DeskAdmin
from outbox.admin.consumers import forms
from outbox.admin.consumers import status as consumer_status
from outbox.models import ConsumerState, Message
from outbox.monitoring import health
from outbox.monitoring.findings import worst
from outbox.operate.actions import Action

PAUSES_SHOWN = 20
"""Pauses shown at most; the newest are kept."""


@admin.register(ConsumerState)
class ConsumerStateAdmin(DeskAdmin):
    """Every consumer, whether the table has a row for it or not."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show how the consumers stand."""
        self.check_view_permission(request)
        context = {
            **self.page_context(request, gettext_lazy("Consumers")),
            "statuses": consumer_status.list_statuses(health.read()),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/consumers.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, _form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a consumer, or do to it what was posted and show it again."""
        self.check_view_permission(request)
        name = unquote(object_id)
        found = consumer_status.find_status(name)
        if found is None:
            messages.warning(
                request,
                _("There is no consumer named “%(consumer)s”, neither in the code nor among the messages that wait.")
                % {"consumer": name[:100]},
            )
            return HttpResponseRedirect(self.list_url())
        bound = None
        if request.method == "POST":
            bound = self._carry_out(request, found[0])
            if bound is None:
                return HttpResponseRedirect(request.path)
            found = consumer_status.find_status(name) or found
        shown, findings = found
        context = {
            **self.page_context(request, name),
            "status": shown,
            "sentences": [finding.sentence for finding in findings] or [shown.verdict],
            "tone": tones.OF_LEVEL[worst(findings)] if findings else shown.tone,
            "panels": forms.build_panels(shown, request.user, bound),
            "canary": Message.objects.filter(pk=shown.state.canary).first() if shown.state.canary else None,
            "events": [
                timeline.action_event(entry)
                for entry in audit.acts_about(name, Action.PAUSE, Action.RESUME)[:PAUSES_SHOWN]
            ],
            "here": request.path,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/consumer.html", context)

    def _carry_out(self, request: HttpRequest, shown: consumer_status.ConsumerStatus) -> forms.HoldForm | None:
        """Do what was posted; None if it was done, else the form with what was entered and what is wrong with it."""
        form_class = forms.form_for(request.POST.get("act", ""), shown)
        if form_class is None:
            raise PermissionDenied
        form = form_class(request.POST)
        done = self.carry_out(request, form, shown.name, seen=partial(_pause_now, shown.name), done=lambda: form.done)
        return None if done else form


def _pause_now(consumer: str) -> dict[str, str]:
    state = ConsumerState.objects.paused().filter(pk=consumer).first()
    return {"seen": state.paused_at.isoformat() if state and state.paused_at else ""}
