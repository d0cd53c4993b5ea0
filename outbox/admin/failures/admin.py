"""The failure groups: which there are, and what people are doing about each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox import audit
from outbox.admin import formats, timeline
from outbox.admin.base import DeskAdmin, narrowed, neighbours, page_of, read_posted, word_of
from outbox.admin.bulk import buttons
from outbox.admin.failures import grouping, groups
from outbox.admin.failures.forms import MergeForm, SplitForm, TriageForm
from outbox.admin.failures.sparkline import read_sparklines
from outbox.admin.forms import FencedForm, Panel, lacks_permission
from outbox.models import FailureGroup, GroupState
from outbox.operate.actions import Action
from outbox.operate.failures import GROUP_ACTIONS
from outbox.operate.wording import subject_of_group

CHANGES_SHOWN = 20
"""Changes shown at most; the newest are kept."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of a post: where to go on, or the form that was refused, or what is wrong."""

    form: TriageForm | None = None
    merge_form: MergeForm | None = None
    problems: Sequence[str] = ()
    go_to: str = ""


@admin.register(FailureGroup)
class FailureGroupAdmin(DeskAdmin):
    """The groups are looked at here, and changed through ``operate`` alone."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the groups, those that matter first."""
        self.check_view_permission(request)
        consumer = word_of(request, "consumer")
        tab = request.GET.get("tab", "")
        tab = tab if tab in groups.GROUP_TABS else groups.OPEN
        summaries = groups.read_groups(groups.stuck_now(consumer), consumer=consumer)
        sorted_out = groups.tabs_of(summaries)
        page = page_of(sorted_out[tab], request, groups.GROUPS_PER_PAGE)
        lines = read_sparklines([summary.fingerprints for summary in page.object_list])
        context = {
            **self.page_context(request, gettext_lazy("Failure groups")),
            "tab": tab,
            "tabs": [
                (slug, label, len(sorted_out[slug]), narrowed(tab=slug, consumer=consumer))
                for slug, (label, _no) in groups.GROUP_TABS.items()
            ],
            "empty": groups.GROUP_TABS[tab][1],
            "consumer": consumer,
            "page": page,
            "rows": list(zip(page.object_list, lines, strict=True)),
            "has_worth": any(summary.worth for summary in page.object_list),
            "is_cut_short": len(summaries) >= groups.GROUPS_READ,
            "looked_at": groups.GROUPS_READ,
            **neighbours(page, tab=tab, consumer=consumer),
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
        if summary.group.pk != object_id and request.method != "POST":
            messages.info(request, _("That group is merged into this one."))
            return HttpResponseRedirect(self._page_of(summary.group.pk))
        posted = self._carry_out(request, object_id, summary) if request.method == "POST" else Posted()
        if posted.go_to:
            return HttpResponseRedirect(posted.go_to)
        if request.method == "POST":
            summary = groups.find_group(object_id) or summary
        refusal = lacks_permission(Action.TRIAGE, request.user)
        subjects = [subject_of_group(summary.group), *(subject_of_group(one.group) for one in summary.members)]
        acts = audit.acts_about_any(subjects, *GROUP_ACTIONS)[:CHANGES_SHOWN]
        [sparkline] = read_sparklines([summary.fingerprints])
        context = {
            **self.page_context(request, formats.format_group(summary.group)),
            "summary": summary,
            "group": summary.group,
            "form": posted.form or TriageForm(initial=TriageForm.initial_of(summary)),
            "merge_panel": None if summary.members else self._merge_panel(summary.group, posted.merge_form, refusal),
            # Nothing is merged away that others were merged into meanwhile: then there is no form to say why.
            "problems": posted.problems or (_errors(posted.merge_form) if summary.members else []),
            "grouping": grouping.explain(summary.group),
            "sparkline": sparkline,
            "refusal": refusal,
            "bulk_buttons": buttons.for_all(request.user),
            "may_take": summary.group.owner != request.user.get_username(),
            "sample": groups.sample_message(summary) if request.user.has_perm("outbox.view_message") else None,
            "events": [timeline.action_event(entry) for entry in acts],
            "here": self._page_of(summary.group.pk),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/group.html", context)

    def _carry_out(self, request: HttpRequest, fingerprint: str, summary: groups.GroupSummary) -> Posted:
        """Do what was posted; return where to go on, or what the page says of it."""
        seen = partial(_group_now, summary.group.pk)
        match request.POST.get("act", ""):
            case Action.SPLIT:
                split = SplitForm(request.POST)
                if self.carry_out(request, split, request.POST.get("member", ""), seen=dict, done=lambda: split.done):
                    return Posted(go_to=self._page_of(summary.group.pk))
                return Posted(problems=_errors(split))
            case Action.MERGE:
                merge = MergeForm(request.POST, others=_choices(summary.group))
                if self.carry_out(request, merge, fingerprint, seen=seen, done=lambda: merge.done):
                    return Posted(go_to=self._page_of(merge.cleaned_data["into"]))
                return Posted(merge_form=merge)
            case _:
                form = TriageForm(_read_triage(request))
                if self.carry_out(request, form, fingerprint, seen=seen, done=lambda: form.done):
                    return Posted(go_to=request.path)
                return Posted(form)

    def _merge_panel(self, group: FailureGroup, bound: MergeForm | None, refusal: str) -> Panel:
        """Return the form by which a group is merged into another one; one that was refused is open."""
        form = bound or MergeForm(initial={"revision": group.revision}, others=_choices(group))
        return Panel(form, refusal, is_open=bound is not None)

    def _page_of(self, fingerprint: str) -> str:
        return reverse("admin:outbox_failuregroup_change", args=[fingerprint], current_app=self.admin_site.name)


def _choices(group: FailureGroup) -> list[tuple[str, str]]:
    """Return the groups that this one can be merged into, each as people know it."""
    return [
        (other.pk, " · ".join(filter(None, [formats.format_group(other), other.exception, other.pk[:12]])))
        for other in groups.others_of(group)
    ]


def _errors(form: FencedForm | None) -> list[str]:
    """Return what is wrong with what was posted, where the page has no form to show it beside."""
    return [] if form is None else [str(error) for errors in form.errors.values() for error in errors]


def _group_now(fingerprint: str) -> dict[str, str]:
    """Return revision and state of a group as they are now, as the form posts them; nothing if it was removed."""
    found = FailureGroup.objects.filter(pk=fingerprint).values_list("revision", "state").first()
    return {} if found is None else {"revision": str(found[0]), "was": found[1]}


def _read_triage(request: HttpRequest) -> QueryDict:
    """Return what was posted; by "I see to it" what was new is being looked into."""
    given = read_posted(request)
    if "take" in given and given.get("state") == GroupState.NEW:
        given["state"] = GroupState.INVESTIGATING.value
    return given
