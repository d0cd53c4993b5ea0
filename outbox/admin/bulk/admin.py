"""Bulk operations on the desk: a list, the page that prepares one, and the page of each."""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.admin import asking, rehearsing, typed
from outbox.admin.base import DeskAdmin, find_row, narrowed, neighbours, page_of, refuse_for, revision_now
from outbox.admin.bulk import buttons, forms, page, rehearsal
from outbox.admin.messages.queue import read_narrowing
from outbox.admin.messages.saved_views import NARROWS
from outbox.admin.messages.selection import read_picked
from outbox.bulk import operations, selection
from outbox.bulk.selection import Selection
from outbox.errors import NotAllowed, NotRehearsable, OperatorError
from outbox.models import BulkOperation
from outbox.models.bulk import ACTIVE, BulkState, BulkVerb
from outbox.models.row_ids import read_id
from outbox.operate.actions import PERMISSIONS, Action
from outbox.operate.origin import origin_of
from outbox.rehearsal import whole_sets

PER_PAGE = 50
CARRIED = ("verb", "pick", "group", "all", "consumer", "of", "within", "mine", "error")
"""What a form of the list, a group or an operation posts, which the form of the patch posts once more."""
READ_AGAIN = 2
"""Seconds after which the page of an operation that runs is read again."""


@admin.register(BulkOperation)
class BulkOperationAdmin(DeskAdmin):
    """Bulk operations: looked at here, changed through ``outbox.bulk.operations`` alone."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page that prepares an operation."""
        prepare = path("prepare/", self.admin_site.admin_view(self.prepare_view), name="outbox_bulkoperation_prepare")
        return [prepare, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the operations, the newest first; previews that nobody started are the last tab."""
        self.check_view_permission(request)
        tab = "drafts" if request.GET.get("tab") == "drafts" else ""
        everything = BulkOperation.objects.order_by("-pk")
        drafts = everything.filter(state=BulkState.DRAFT)
        found = drafts if tab else everything.exclude(state=BulkState.DRAFT)
        shown = page_of(found, request, PER_PAGE)
        context = {
            **self.page_context(request, gettext_lazy("Bulk operations")),
            "drafts": bool(tab),
            "tabs": [
                {"url": narrowed(), "label": _("Were started"), "is_chosen": not tab},
                {"url": narrowed(tab="drafts"), "label": _("Previews"), "is_chosen": bool(tab)},
            ],
            "summaries": [page.summarize(operation) for operation in shown.object_list],
            **neighbours(shown, tab=tab),
            "may_prepare": buttons.may_prepare(request.user),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/bulk_list.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, _form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show an operation, or do to it what was posted and show it again."""
        self.check_view_permission(request)
        operation = _find(object_id)
        if operation is None:
            messages.warning(
                request,
                _("Bulk operation %(id)s is not there; a preview is removed after a day.") % {"id": object_id[:30]},
            )
            return HttpResponseRedirect(self.list_url())
        bound, answers = None, []
        askable = asking.promised_of(operation)
        if request.method == "POST" and request.POST.get("act") in (rehearsing.REHEARSE, rehearsing.STOP):
            if not typed.is_taken_up(request):
                self._rehearse(request, operation)
            return HttpResponseRedirect(request.path)
        if request.method == "POST" and request.POST.get("act") == asking.ASK:
            refuse_for(asking.refusal(request.user), offered=bool(askable))
            try:
                answers = asking.ask_about_some(operation, askable, actor=request.user, origin=origin_of(request))
            except OperatorError as refusal:
                messages.error(request, str(refusal))
        elif request.method == "POST":
            bound = forms.make_form(request.POST.get("act", ""), operation, request.POST)
            if bound is None:
                raise PermissionDenied
            form = bound
            seen = partial(revision_now, BulkOperation.objects.filter(pk=operation.pk))
            if self.carry_out(request, form, operation.pk, seen=seen, done=lambda: form.done):
                return HttpResponseRedirect(request.path)
            operation = _find(object_id) or operation
        shown = request.GET.get("show", "")
        rehearsed = rehearsal.panel_of(operation, request.user)
        is_rehearsed = bool(rehearsed and rehearsed.rehearsal and rehearsed.rehearsal.goes_on)
        context = {
            **self.page_context(request, page.headline(operation)),
            "summary": page.summarize(operation),
            "operation": operation,
            "is_draft": operation.state == BulkState.DRAFT,
            "panels": forms.build_panels(operation, request.user, bound),
            "figures": page.figures(operation),
            "counts": page.counts_in_words(operation),
            "refused": page.refused_by_why(operation),
            "changes": page.changes_in_words(operation, with_values=request.user.has_perm(PERMISSIONS[Action.REVEAL])),
            "samples": page.fits(operation, page.samples(operation))
            if request.user.has_perm("outbox.view_message")
            else [],
            "shown": shown,
            "rows": page.rows(operation, shown) if shown and request.user.has_perm("outbox.view_message") else [],
            "rehearsed": rehearsed,
            "can_ask": bool(askable) and operation.items_pruned_at is None,
            "ask_refusal": asking.refusal(request.user),
            "ask_most": asking.SOME,
            "answers": answers,
            "settings": page.settings(operation),
            "events": page.history(operation),
            "follow_ups": _follow_ups(operation, request),
            "every_seconds": 0 if operation.state == BulkState.DRAFT and not is_rehearsed else READ_AGAIN,
            "here": request.path,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/bulk.html", context)

    def _rehearse(self, request: HttpRequest, operation: BulkOperation) -> None:
        """Have workers rehearse the set, or stop them; say why that is refused."""
        try:
            if request.POST.get("act") == rehearsing.REHEARSE:
                whole_sets.start(operation.pk, actor=request.user, origin=origin_of(request))
                messages.success(request, _("Workers rehearse it in the background, also when you close the page."))
            else:
                id = read_id(request.POST.get("rehearsal", "")) or 0
                whole_sets.stop(id, actor=request.user, origin=origin_of(request))
                messages.success(request, _("Stopped. What was found until then stays."))
        except (OperatorError, NotRehearsable) as refusal:
            messages.error(request, str(refusal))

    def prepare_view(self, request: HttpRequest) -> HttpResponse:
        """Freeze what was chosen and lead to its preview; without a choice, ask for a list."""
        if not buttons.may_prepare(request.user):
            raise PermissionDenied
        if request.method == "POST" and request.POST.get("verb") == BulkVerb.EDIT:
            return self._prepare_edit(request)
        form = forms.ListForm()
        if request.method == "POST":
            form = forms.ListForm(request.POST, request.FILES)
            is_list = "by" in request.POST
            if not is_list and typed.is_taken_up(request):
                return HttpResponseRedirect(self._back(request))  # it is picked, or chosen, again
            if (not is_list or form.is_valid()) and not typed.is_taken_up(request):
                try:
                    chosen = form.select() if is_list else _selected(request)
                    verb = BulkVerb(request.POST.get("verb", ""))
                    made = operations.prepare(verb, chosen, actor=request.user, origin=origin_of(request))
                except (OperatorError, ValueError) as refusal:
                    said = str(refusal) if isinstance(refusal, OperatorError) else _("Say what is to be done.")
                    if not is_list:
                        messages.error(request, said)
                        return HttpResponseRedirect(self._back(request))
                    form.add_error(None, said)
                else:
                    return HttpResponseRedirect(self._page_of(made))
        context = {
            **self.page_context(request, gettext_lazy("A bulk operation from a list")),
            "form": form,
            "here": request.path,
        }
        return TemplateResponse(request, "outbox/desk/bulk_prepare.html", context)

    def _prepare_edit(self, request: HttpRequest) -> HttpResponse:
        """Ask how the payloads of what was chosen are to be changed; then freeze it and lead to the preview."""
        refuse_for(buttons.refusal_of_verb(BulkVerb.EDIT, request.user))
        asked = "rename" in request.POST
        form = forms.PatchForm(request.POST if asked else None)
        shape = ""
        try:
            chosen = _selected(request)
            if asked and form.is_valid() and not typed.is_taken_up(request):
                made = operations.prepare(
                    BulkVerb.EDIT,
                    chosen,
                    actor=request.user,
                    patch=form.cleaned_data["patch"],
                    origin=origin_of(request),
                )
                return HttpResponseRedirect(self._page_of(made))
            shape = page.shape_of(chosen)
        except OperatorError as refusal:
            if not asked:
                messages.error(request, str(refusal))
                return HttpResponseRedirect(self._back(request))
            form.add_error(None, str(refusal))
        carried = [(name, value) for name in CARRIED for value in request.POST.getlist(name)]
        context = {
            **self.page_context(request, gettext_lazy("Edit and retry many messages")),
            "form": form,
            "carried": carried,
            "shape": shape,
            "back": self._back(request),
            "here": request.path,
        }
        return TemplateResponse(request, "outbox/desk/bulk_patch.html", context)

    def _page_of(self, operation: BulkOperation) -> str:
        return reverse("admin:outbox_bulkoperation_change", args=[operation.pk], current_app=self.admin_site.name)

    def _back(self, request: HttpRequest) -> str:
        """Return the work queue, as it was narrowed down."""
        queue = reverse("admin:outbox_message_changelist", current_app=self.admin_site.name)
        given = {name: value for name in NARROWS if (value := request.POST.get(name, ""))}
        return queue + narrowed(**given) if given else queue


def _selected(request: HttpRequest) -> Selection:
    """Return the set that a list, a group or an operation's page has posted."""
    if request.POST.getlist("pick"):
        return selection.picked(read_picked(request.POST.getlist("pick")))
    if of := request.POST.get("of", ""):
        operation = _find(of)
        if operation is None:
            raise NotAllowed(_("The operation is no longer there."))
        return (
            selection.to_undo(operation) if request.POST.get("verb") == "reopen" else selection.failed_again(operation)
        )
    shown = read_narrowing(request.POST, request)
    narrowing: dict[str, Any] = {"since": shown.within, "owner": shown.owner, "error": shown.error}
    if group := request.POST.get("group", ""):
        return selection.of_group(group, **narrowing)
    if "all" in request.POST:
        return selection.failed(consumer=request.POST.get("consumer", ""), **narrowing)
    raise NotAllowed(_("Nothing was selected."))


def _follow_ups(operation: BulkOperation, request: HttpRequest) -> list[buttons.VerbButton]:
    """Return what can be done next with what this one has done."""
    if operation.items_pruned_at is not None or operation.state in ACTIVE:
        return []
    if operation.retries and operation.failed_again:
        verb, label = BulkVerb.RETRY, _("Retry only what failed again…")
    elif operation.verb in (BulkVerb.HANDLE, BulkVerb.DISCARD) and operation.done:
        verb, label = BulkVerb.REOPEN, _("Undo: reopen what it closed…")
    else:
        return []
    return [buttons.VerbButton(verb.value, label, buttons.refusal_of_verb(verb, request.user))]


def _find(object_id: str) -> BulkOperation | None:
    return find_row(BulkOperation.objects.all(), object_id)
