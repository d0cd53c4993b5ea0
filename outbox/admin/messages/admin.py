"""The operators' desk: the work queue, and the page of one message with all that can be done to it."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from outbox import operate, registry
from outbox.admin import asking, descriptions, formats, rehearsing, sheets
from outbox.admin.base import narrowed, refuse_unless, word_of
from outbox.admin.bulk import forms as bulk_forms
from outbox.admin.failures.groups import GroupOfMessage
from outbox.admin.forms import ActionForm, lacks_permission
from outbox.admin.messages import detail, editing, exporting, listing, noting, selection
from outbox.admin.messages.editing import EditForm
from outbox.admin.messages.saved_views import NARROWS, SavedViewPages
from outbox.admin.messages.tab_counts import TabCounts, count_new, count_tabs
from outbox.admin.messages.tabs import FAILED, TABS, Scope, Tab, find_tab
from outbox.admin.periods import PERIODS, span_of
from outbox.errors import NotAllowed, OperatorError
from outbox.models import FailureGroup, Message, Status
from outbox.models.row_ids import read_id
from outbox.models.sql.backlog import without_jit
from outbox.operate.actions import Action
from outbox.operate.asking import Answer, Known
from outbox.operate.exports import check_export, note_export
from outbox.operate.message_row import conflict_over
from outbox.operate.origin import origin_of
from outbox.topics import NAME_LENGTH

FILTERS = "_changelist_filters"
"""The query parameter in which Django's admin keeps the list's filters while one looks at a row."""


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
        text = request.GET.get("q", "").strip()
        tab = _tab_of(request)
        period = request.GET.get("within", "")
        group = _find_group(word_of(request, "group"))
        consumer = group.root.consumer if group else word_of(request, "consumer")
        with without_jit():
            scope = replace(_scope(tab, consumer, group), within=span_of(period), owner=_owner(request))
            narrowed = scope if (scope.within or scope.owner) and not text else None
            counts = count_tabs(Scope(consumer, group.fingerprints if group else ()), shown=tab, narrowed=narrowed)
            scope, within = replace(scope, waiting=counts.waiting), counts.within
            found = None if text else self._read_page(request, tab, scope)
        found = found or listing.search_messages(text)  # the project's code, which must not break our transaction
        described = descriptions.descriptions(found.rows, site=self.admin_site.name, reader=request.user)
        is_first = not (request.GET.get("after") or request.GET.get("before"))
        retry_refusal = lacks_permission(Action.RETRY, request.user)
        picked_buttons = bulk_forms.buttons_for_picked(request.user)
        open_acts = not all([retry_refusal, *(button.refusal for button in picked_buttons)])
        has_acts = tab.slug == "failed" and not text
        kept = {
            "within": period if scope.within else "",
            "mine": "1" if scope.owner else "",
            "order": "turned" if request.GET.get("order") == "turned" else "",
        }
        context = {
            **self.page_context(request, gettext_lazy("Work queue")),
            **self.saved_views_context(request, is_search=bool(text)),
            "is_group_gone": bool(word_of(request, "group")) and group is None,
            "tab": None if text else tab,
            "tabs": [
                (
                    each,
                    counts.by_tab[each.slug],
                    _tab_url(each, _scope(each, consumer, group), **kept),
                )
                for each in TABS
            ],
            "periods": [(name, label) for name, (label, _span) in PERIODS.items()],
            "period": kept["within"],
            "mine": kept["mine"],
            "is_turned": bool(kept["order"]),
            "orders": tab.orders,
            "within": within,
            "period_label": PERIODS[period][0] if scope.within else "",
            "has_value": any(message.currency for message in found.rows),
            "arrivals_url": self._arrivals_url(counts, scope) if is_first and tab == FAILED and not text else "",
            "group": group.root if group and scope.failure and not text else None,
            "query": text,
            "consumer": consumer,
            "consumers": sorted({*(entry.name for entry in registry.all_consumers()), consumer} - {""}),
            "rows": [
                (message, _subject(message, described.get(message.pk), heads.get(message.pk)))
                for heads in [listing.heads_before(found.rows)]
                for message in found.rows
            ],
            "page": found,
            "newer_url": self._page_url(request, before=found.newer),
            "older_url": self._page_url(request, after=found.older),
            "first_url": _tab_url(tab, scope, **kept),
            "any_time_url": _tab_url(tab, scope),
            "older_label": _("Look further") if found.cut_short else tab.older,
            "is_first": is_first,
            "nothing": _why_nothing(tab, text, found, scope, is_first=is_first),
            "finder_failed": found.finder_failed,
            "only_consumer": consumer if is_first and not text and not found.cut_short else "",
            "may_pick": has_acts and open_acts,
            "retry_refusal": retry_refusal,
            # Of an owner's messages or a span there is no frozen set: what is not shown must not be acted on.
            "bulk_buttons": bulk_forms.buttons_for_all(request.user) if has_acts and not within else [],
            "exports": [
                (name, self._export_url(request, name))
                for name in (sheets.offered_formats() if found.rows and not text else [])
            ],
            "export_refusal": lacks_permission(Action.EXPORT, request.user),
            "picked_buttons": picked_buttons,
            "page_query": urlencode({FILTERS: request.GET.urlencode()}) if request.GET else "",
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
        can_rehearse = rehearsing.is_promised(found.message.consumer)
        if request.method == "POST" and request.POST.get("act") == rehearsing.REHEARSE:
            refuse_unless(can_rehearse, rehearsing.refusal(request.user))
            rehearsed = rehearsing.rehearse_message(found.message, actor=request.user, origin=origin_of(request))
        elif request.method == "POST" and request.POST.get("act") == asking.ASK:
            refuse_unless(can_ask, asking.refusal(request.user))
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
        filters = parse_qs(request.GET.get(FILTERS, ""))
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
                scope=_scope_around(
                    failed_so,
                    filters.get("consumer", [""])[0],
                    filters.get("group", [""])[0],
                    request.user.get_username() if "mine" in filters else "",
                ),
                turned=filters.get("order") == ["turned"],
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
            refuse_unless(True, editing.lacks(request.user))
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
        refuse_unless(True, lacks_permission(Action.RETRY, request.user))
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
        form = request.GET.get("format", "csv")
        if form not in sheets.offered_formats():
            raise Http404
        tab, scope = self._narrowed(request)
        what = {
            "tab": tab.slug,
            "consumer": scope.consumer,
            "group": scope.failure,
            "within": request.GET["within"] if scope.within else "",
            "owner": scope.owner,
            "format": form,
        }
        try:
            check_export("messages", actor=request.user, origin=origin_of(request))
        except OperatorError as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(self._list_url(request))
        # Noted when the file is made: until a request's transaction is over, nobody else writes to the audit.
        file = exporting.respond(tab, scope, form=form)
        note_export("messages", what, actor=request.user, origin=origin_of(request))
        return file

    def _narrowed(self, request: HttpRequest) -> tuple[Tab, Scope]:
        """Return the tab of an address, and what it is narrowed down to."""
        group = _find_group(word_of(request, "group"))
        consumer = group.root.consumer if group else word_of(request, "consumer")
        tab = _tab_of(request)
        within = span_of(request.GET.get("within", ""))
        return tab, replace(_scope(tab, consumer, group), within=within, owner=_owner(request))

    def _gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _("Message %(id)s is not there. Finished messages are removed in time.") % {"id": object_id[:30]}
        messages.warning(request, text)
        return HttpResponseRedirect(self._list_url(request))

    def _revision_now(self, message_id: int) -> dict[str, str]:
        return {"revision": str(detail.revision_of(message_id))}

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
            seen=partial(self._revision_now, message.pk),
            done=lambda: form.done_to(message),
        )
        return None if done else form

    def _write_note(self, request: HttpRequest, message: Message) -> noting.NoteForm | None:
        """Write on the message what was posted; None if it was done, else the form with what is wrong with it."""
        form = noting.read_form(request)
        seen = partial(noting.revision_now, message.pk)
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

    def _read_page(self, request: HttpRequest, tab: Tab, scope: Scope) -> listing.Page:
        return listing.read_page(tab, scope, after=request.GET.get("after", ""), before=request.GET.get("before", ""))

    def _page_url(self, request: HttpRequest, **cursor: str) -> str:
        if not all(cursor.values()):
            return ""
        return narrowed(**{name: request.GET.get(name, "") for name in NARROWS}, **cursor)

    def _export_url(self, request: HttpRequest, form: str) -> str:
        address = reverse("admin:outbox_message_export", current_app=self.admin_site.name)
        kept = {name: request.GET.get(name, "") for name in NARROWS}
        return address + narrowed(**kept, format=form)

    def _arrivals_url(self, counts: TabCounts, scope: Scope) -> str:
        """Return where the page asks what has come since; until then is the last of what it shows."""
        shown = [group.last_at for group in counts.groups if not scope.failures or group.failure in scope.failures]
        since = max(shown).isoformat() if shown else ""
        address = reverse("admin:outbox_message_arrivals", current_app=self.admin_site.name)
        mine = "1" if scope.owner else ""
        return address + narrowed(consumer=scope.consumer, group=scope.failure, mine=mine, since=since)

    def arrivals_view(self, request: HttpRequest) -> HttpResponse:
        """Say how many messages were given up since a page of the queue was opened."""
        self.check_view_permission(request)
        consumer, group = word_of(request, "consumer")[:NAME_LENGTH], _find_group(word_of(request, "group")[:64])
        scope = replace(_scope(FAILED, consumer, group), owner=_owner(request))
        count = count_new(scope, listing.read_moment(request.GET.get("since", "")))
        text = _("%(count)s new") % {"count": f"{count.counted:,}+" if count.more else f"{count.counted:,}"}
        return JsonResponse({"count": count.counted, "text": text if count.counted else ""})


def _tab_url(tab: Tab, scope: Scope, **kept: str) -> str:
    """Return the address of a tab; a group of failures is only among what failed."""
    group = scope.failure if tab.slug == "failed" else ""
    return narrowed(tab=tab.slug, consumer=scope.consumer, group=group, **kept)


def _tab_of(request: HttpRequest) -> Tab:
    """Return the tab of an address, in the order that it asks for."""
    return find_tab(request.GET.get("tab", ""), turned=request.GET.get("order") == "turned")


def _owner(request: HttpRequest) -> str:
    """Return whose messages are shown alone: those of whoever asks; everybody's if empty."""
    return request.user.get_username() if request.GET.get("mine") else ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a row of the queue is about, and what is to be known about that, each on one line."""

    label: str
    detail: str
    head: int | None = None
    """The message of the same ordering key that it waits for."""


def _subject(message: Message, described: descriptions.Description | None, head: int | None) -> Subject:
    """Return what the project says a message is about, else its topic and key."""
    named = f"{message.topic} {message.key}"
    if described is None:
        return Subject(named, f"{_('message')} {message.pk}", head)
    facts = " · ".join(f"{fact.label}: {fact.value}" for fact in described.facts)
    return Subject(described.label, facts or named, head)


def _why_nothing(tab: Tab, query: str, page: listing.Page, scope: Scope, *, is_first: bool) -> list[str]:
    """Return what is said where there is no row to show."""
    if query:
        return [
            _("There is no message that “%(query)s” means.") % {"query": query},
            _("The search is exact: enter the whole text, without spaces. Successes are removed after a while."),
        ]
    if page.cut_short:
        return [_("Nothing in the part of the table that was looked through. Look further to go on from there.")]
    if scope.owner:
        return [_("Nothing of this is seen to by you.")]
    if scope.within:
        return [_("There is nothing of that span here.")]
    return [str(tab.empty) if is_first else _("This page is empty by now.")]


class FoundGroup(NamedTuple):
    """A failure group, and the fingerprints of it and of what is merged into it."""

    root: FailureGroup
    fingerprints: tuple[str, ...]


def _scope(tab: Tab, consumer: str, group: FoundGroup | None) -> Scope:
    """Return what a tab is narrowed down to; a group of failures knows its consumer."""
    if group is not None and tab.slug == "failed":
        return Scope(group.root.consumer, group.fingerprints)
    return Scope(consumer)


def _scope_around(known: GroupOfMessage | None, consumer: str, fingerprint: str, owner: str) -> Scope:
    """Return what the list around a message was narrowed down to; the group of the message is ``known``."""
    if known is not None and known.root.pk == fingerprint:
        return Scope(known.root.consumer, known.fingerprints, owner=owner)
    return replace(_scope(FAILED, consumer, _find_group(fingerprint)), owner=owner)


def _find_group(fingerprint: str) -> FoundGroup | None:
    """Return a failure group with what is merged into it; of one that is merged itself, that one alone."""
    if not fingerprint or "\0" in fingerprint:
        return None
    groups = {group.pk: group for group in FailureGroup.objects.with_members(fingerprint)}
    root = groups.pop(fingerprint, None)
    return None if root is None else FoundGroup(root, (root.pk, *groups))
