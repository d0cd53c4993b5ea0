"""The failure groups: which kinds of failure there are, and what people are doing about each."""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox import audit
from outbox.admin import formats, timeline
from outbox.admin.base import DeskAdmin, narrowed, word_of
from outbox.admin.bulk import forms as bulk_forms
from outbox.admin.failures import groups
from outbox.admin.failures.forms import TriageForm
from outbox.admin.forms import lacks_permission
from outbox.models import FailureGroup, GroupState
from outbox.operate.actions import Action
from outbox.operate.wording import subject_of_group

CHANGES_SHOWN = 20
"""Changes shown at most; the newest are kept."""


@admin.register(FailureGroup)
class FailureGroupAdmin(DeskAdmin):
    """Kinds of failures: looked at here, changed through ``operate`` alone."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the groups, those that matter first."""
        self.check_view_permission(request)
        consumer = word_of(request, "consumer")
        tab = request.GET.get("tab", "")
        tab = tab if tab in groups.GROUP_TABS else groups.OPEN
        summaries = groups.read_groups(groups.stuck_now(consumer), consumer=consumer)
        sorted_out = groups.tabs_of(summaries)
        page = Paginator(sorted_out[tab], groups.GROUPS_PER_PAGE).get_page(request.GET.get("page"))
        context = {
            **self.page_context(request, gettext_lazy("Failure groups")),
            "tab": tab,
            "tabs": [
                (slug, label, len(sorted_out[slug]), _url(slug, consumer))
                for slug, (label, _no) in groups.GROUP_TABS.items()
            ],
            "empty": groups.GROUP_TABS[tab][1],
            "consumer": consumer,
            "page": page,
            "has_worth": any(summary.worth for summary in page.object_list),
            "is_cut_short": len(summaries) >= groups.GROUPS_READ,
            "looked_at": groups.GROUPS_READ,
            "newer_url": _url(tab, consumer, page.previous_page_number()) if page.has_previous() else "",
            "older_url": _url(tab, consumer, page.next_page_number()) if page.has_next() else "",
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/groups.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, _form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a group, or write down what was posted and show it again."""
        self.check_view_permission(request)
        summary = groups.find_group(object_id)
        if summary is None:
            messages.warning(request, _("This failure group is no longer there."))
            return HttpResponseRedirect(self.list_url())
        form = TriageForm(initial=TriageForm.initial_of(summary))
        if request.method == "POST":
            form = TriageForm(_taken(request) if "take" in request.POST else request.POST)
            seen = partial(_group_now, summary.group.pk)
            if self.carry_out(request, form, summary.group.pk, seen=seen, done=lambda: form.done):
                return HttpResponseRedirect(request.path)
            summary = groups.find_group(object_id) or summary
        acts = audit.acts_about(subject_of_group(summary.group), Action.TRIAGE)[:CHANGES_SHOWN]
        context = {
            **self.page_context(request, formats.format_group(summary.group)),
            "summary": summary,
            "group": summary.group,
            "form": form,
            "refusal": lacks_permission(Action.TRIAGE, request.user),
            "bulk_buttons": bulk_forms.buttons_for_all(request.user),
            "may_take": summary.group.owner != request.user.get_username(),
            "sample": groups.sample_message(summary.group) if request.user.has_perm("outbox.view_message") else None,
            "events": [timeline.action_event(entry) for entry in acts],
            "here": request.path,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/group.html", context)


def _group_now(fingerprint: str) -> dict[str, str]:
    group = FailureGroup.objects.get(pk=fingerprint)
    return {"revision": str(group.revision), "was": str(group.state)}


def _taken(request: HttpRequest) -> QueryDict:
    """Return what was posted by "I see to it": the owner is whoever did, and what was new is being looked into."""
    given = request.POST.copy()
    given["owner"] = request.user.get_username()
    if given.get("state") == GroupState.NEW:
        given["state"] = GroupState.INVESTIGATING.value
    return given


def _url(tab: str, consumer: str, page: int = 1) -> str:
    return narrowed(tab=tab, consumer=consumer, page=str(page) if page > 1 else "")
