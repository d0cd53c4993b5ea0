"""The operators' desk: the work queue, and the page of one message with all that can be done to it."""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from outbox import operate
from outbox.admin import asking, descriptions, formats, rehearsing
from outbox.admin.base import read_posted, refuse_for, revision_now
from outbox.admin.forms import lacks_permission
from outbox.admin.keyset import read_moment
from outbox.admin.messages import detail, editing, exporting, noting, queue, selection
from outbox.admin.messages.editing import EditForm
from outbox.admin.messages.forms import ActionForm
from outbox.admin.messages.queue import FILTERS
from outbox.admin.messages.saved_views import SavedViewPages
from outbox.admin.messages.tab_counts import count_new
from outbox.admin.messages.tabs import FAILED
from outbox.errors import NotAllowed, OperatorError
from outbox.models import Message, Note, Status
from outbox.models.row_ids import read_id
from outbox.operate.actions import Action
from outbox.operate.asking import Answer, Known
from outbox.operate.message_row import conflict_over
from outbox.operate.origin import origin_of
from outbox.rehearsal import possible


@admin.register(Message)
class MessageAdmin(SavedViewPages):
    """Messages: looked at here, changed through ``operate`` alone."""

    def get_urls(self) -> list[URLPattern]:
        """Add the retry of what was picked in the list, the count of what is new in it, and the edit of one message."""
        picked = path(
            "retry-selected/",
            self.admin_site.admin_view(self.retry_selected_view),
            name="outbox_message_retry_selected",
        )
        arrivals = path("arrivals/", self.admin_site.admin_view(self.arrivals_view), name="outbox_message_arrivals")
        edit = path("<path:object_id>/edit/", self.admin_site.admin_view(self.edit_view), name="outbox_message_edit")
        export = path("export/", self.admin_site.admin_view(self.export_view), name="outbox_message_export")
        return [picked, arrivals, edit, export, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the work queue."""
        self.check_view_permission(request)
        context = {
            **self.page_context(request, gettext_lazy("Work queue")),
            **self.saved_views_context(request, is_search=bool(queue.query_of(request))),
            **queue.queue_context(request, site=self.admin_site.name),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/queue.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, _form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a message, or do to it what was posted and show it again."""
        self.check_view_permission(request)
        message_id = read_id(object_id)
        found = None if message_id is None else detail.find_message(message_id)
        if found is None:
            return self._gone(request, object_id)
        bound, payload, rehearsed, answer, bound_note = None, None, None, None, None
        can_ask = asking.is_promised(found.message.consumer)
        can_rehearse = possible.is_promised(found.message.consumer)
        if request.method == "POST" and request.POST.get("act") == rehearsing.REHEARSE:
            refuse_for(rehearsing.refusal(request.user), offered=can_rehearse)
            rehearsed = rehearsing.rehearse_message(found.message, actor=request.user, origin=origin_of(request))
        elif request.method == "POST" and request.POST.get("act") == asking.ASK:
            refuse_for(asking.refusal(request.user), offered=can_ask)
            answer = self._ask(request, found.message)
        elif request.method == "POST" and request.POST.get("act") == Action.REVEAL:
            payload = self._reveal(request, found.message)
        elif request.method == "POST":
            if request.POST.get("act") == Action.NOTE:
                bound_note = self._write_note(request, found.message)
            else:
                bound = self._carry_out(request, found)
            if bound is None and bound_note is None:
                return HttpResponseRedirect(request.get_full_path())
            found = detail.find_message(found.message.pk) or found
        failed_so = detail.find_group_of(found.message, request.user)
        context = {
            **self.page_context(request, f"{found.message.topic} {found.message.key}"),
            **detail.message_context(
                found,
                user=request.user,
                bound=bound,
                payload=payload,
                proof=answer.said if answer and answer.known is Known.YES else "",
                group=failed_so,
                around=queue.list_around(request, failed_so),
                site=self.admin_site.name,
            ),
            **noting.context_of(request, found.message, bound_note),
            "edit_refusal": editing.refusal(found.message, request.user),
            "can_rehearse": can_rehearse and found.message.exhausted_at is not None,
            "rehearse_refusal": rehearsing.refusal(request.user),
            "rehearsed": rehearsed,
            "can_ask": can_ask and found.message.status != Status.SUCCESS,
            "ask_refusal": asking.refusal(request.user),
            "asked": asking.in_words(answer) if answer else None,
            "list_url": self._list_url(request),
            "page_query": request.GET.urlencode(),
            "here": request.get_full_path(),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/message.html", context)

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for another payload, show what it changes, and then edit and retry. Looking is noted in the audit."""
        self.check_view_permission(request)
        message_id = read_id(object_id)
        message = None if message_id is None else Message.objects.filter(pk=message_id).first()
        if message is None:
            return self._gone(request, object_id)
        page_of = reverse("admin:outbox_message_change", args=[message.pk], current_app=self.admin_site.name)
        message_url = f"{page_of}?{request.GET.urlencode()}" if request.GET else page_of
        if request.method == "POST":
            refuse_for(editing.lacks(request.user))
        try:
            if refusal := editing.refusal(message, request.user):
                raise NotAllowed(refusal)
            page = self._edit(request, message)
            if page is None:
                return HttpResponseRedirect(message_url)
            operate.reveal(message.pk, actor=request.user, origin=origin_of(request))  # which the page does
        except OperatorError as refused:
            messages.error(request, str(refused))
            return HttpResponseRedirect(message_url)
        described = descriptions.descriptions([message], site=self.admin_site.name, reader=request.user).get(message.pk)
        context = {
            **self.page_context(request, EditForm.title),
            "message": message,
            "business": described.label if described else f"{message.topic} {message.key}",
            "last_error": formats.describe_failure(message),
            "page": page,
            "rehearsed": page.editor.rehearse(request.user, origin=origin_of(request)) if page.changes else None,
            "list_url": self._list_url(request),
            "message_url": message_url,
            "here": request.get_full_path(),
        }
        return TemplateResponse(request, "outbox/desk/edit.html", context)

    def _edit(self, request: HttpRequest, message: Message) -> editing.EditPage | None:
        """Do what was posted; None if it was done, else what the page shows: nothing is done before it was seen."""
        if request.method != "POST":
            return editing.EditPage(editing.Editor(message))
        editor = editing.Editor(message, request.POST)
        if editor.is_stale:
            messages.error(request, str(conflict_over(message.pk)))
            return editing.EditPage(editing.Editor(message), typed=editor.typed)
        if not editor.is_valid() or not (changes := editor.changes()):
            return editing.EditPage(editor)
        if request.POST.get("step") == "save":
            if request.POST.get("seen") == editor.digest:
                done = partial(editor.form.done_to, message)
                was_done = self.carry_out(request, editor.form, message.pk, seen=dict, done=done)
                return None if was_done else editing.EditPage(editor)
            messages.warning(request, _("Not done yet: this is not what you had looked at. Look once more."))
        return editing.EditPage(editor, changes)

    def retry_selected_view(self, request: HttpRequest) -> HttpResponse:
        """Show what was picked in the list and ask for a reason; with one, retry each row and tell the result."""
        self.check_view_permission(request)
        if request.method != "POST" or not (picked := selection.read_picked(request.POST.getlist("pick"))):
            messages.warning(request, _("Nothing was selected."))
            return HttpResponseRedirect(self._list_url(request))
        refuse_for(lacks_permission(Action.RETRY, request.user))
        wanted = selection.sort_out(picked, request.user)
        reason = request.POST.get("reason", "").strip()
        reason_refusal = selection.unfit(reason) if "confirmed" in request.POST else ""
        refused: list[selection.Refused] = []
        tried = bool("confirmed" in request.POST and wanted.able and not reason_refusal)
        if tried:
            refused = selection.retry_selected(wanted, actor=request.user, origin=origin_of(request), reason=reason)
            done = len(wanted.able) - len(refused)
            if done:
                text = ngettext("%(count)d message is pending again.", "%(count)d messages are pending again.", done)
                messages.success(request, text % {"count": done})
                for held_back in selection.held_back(wanted):
                    messages.warning(request, held_back)
            if not refused:
                return HttpResponseRedirect(self._list_url(request))
        context = {
            **self.page_context(request, gettext_lazy("Retry selected messages")),
            "wanted": wanted,
            "refused": refused,
            "tried": tried,
            "reason": reason,
            "reason_refusal": reason_refusal,
            "list_url": self._list_url(request),
            "here": request.get_full_path(),
        }
        return TemplateResponse(request, "outbox/desk/retry_selected.html", context)

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Give the queue, as it is narrowed down, as a file."""
        self.check_view_permission(request)
        tab, scope, *_rest = queue.read_address(request)
        what = {
            "tab": tab.slug,
            "consumer": scope.consumer,
            "group": scope.failure,
            "within": request.GET["within"] if scope.within else "",
            "owner": scope.owner,
            "error": scope.error,
        }
        respond = partial(exporting.respond, tab, scope)
        return self.give_file(request, "messages", what, respond=respond, back=self._list_url(request))

    def _gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _("Message %(id)s is not there. Finished messages are removed in time.") % {"id": object_id[:30]}
        messages.warning(request, text)
        return HttpResponseRedirect(self._list_url(request))

    def _carry_out(self, request: HttpRequest, found: detail.FoundMessage) -> ActionForm | None:
        """Do what was posted; None if it was done, else the form with what was entered and what is wrong with it."""
        form_class = found.form_for(request.POST.get("act", ""))
        if form_class is None:
            raise PermissionDenied
        form = form_class(request.POST)
        message = found.message
        form.fit_to(message)
        done = self.carry_out(
            request,
            form,
            message.pk,
            seen=partial(revision_now, Message.objects.filter(pk=message.pk)),
            done=lambda: form.done_to(message),
        )
        return None if done else form

    def _write_note(self, request: HttpRequest, message: Message) -> noting.NoteForm | None:
        """Write on the message what was posted; None if it was done, else the form with what is wrong with it."""
        form = noting.NoteForm(read_posted(request))
        seen = partial(revision_now, Note.objects.filter(pk=message.pk))
        return None if self.carry_out(request, form, message.pk, seen=seen, done=lambda: form.done) else form

    def _ask(self, request: HttpRequest, message: Message) -> Answer | None:
        """Return what the other side says of the message; None if it may not be asked any more."""
        try:
            return operate.ask(message.pk, actor=request.user, origin=origin_of(request))
        except OperatorError as refusal:
            messages.error(request, str(refusal))
            return None

    def _reveal(self, request: HttpRequest, message: Message) -> Any:
        """Return the payload in a tuple of its own, as it may be null; None if the person may not see it."""
        try:
            return (operate.reveal(message.pk, actor=request.user, origin=origin_of(request)),)
        except OperatorError as refusal:
            messages.error(request, str(refusal))
            return None

    def _list_url(self, request: HttpRequest) -> str:
        filters = request.GET.get(FILTERS, "")
        url = reverse("admin:outbox_message_changelist", current_app=self.admin_site.name)
        return f"{url}?{filters}" if filters else url

    def arrivals_view(self, request: HttpRequest) -> HttpResponse:
        """Say how many messages were given up since a page of the queue was opened."""
        self.check_view_permission(request)
        scope = queue.read_address(request, tab=FAILED).scope
        count = count_new(scope, read_moment(request.GET.get("since", "")))
        text = _("%(count)s new") % {"count": f"{count.counted:,}+" if count.more else f"{count.counted:,}"}
        return JsonResponse({"count": count.counted, "text": text if count.counted else ""})
