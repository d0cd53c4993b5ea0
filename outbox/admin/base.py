"""What every page of the desk has in common: it shows, and changes through ``operate`` alone."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from ipaddress import ip_address
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from outbox.admin import error_pages, sheets, typed
from outbox.admin.visible import show_all
from outbox.errors import EvidenceTaken, OperatorError
from outbox.models.row_ids import read_id
from outbox.operate.actions import PERMISSIONS, Action
from outbox.operate.denials import note_denial
from outbox.operate.exports import check_export, note_export
from outbox.operate.origin import origin_of

R = TypeVar("R", bound=Model)

ACT_OF_PAGE = {
    "outbox_message_retry_selected": Action.RETRY.value,
    "outbox_message_edit": Action.EDIT.value,
    "outbox_apitoken_make": Action.TOKEN_MAKE.value,
}
"""What is posted to pages that are for one act alone."""


class CarriedOut(Protocol):
    """A form by which an operator acts."""

    data: Any

    def is_valid(self) -> bool:
        """Tell whether what was entered can be carried out."""

    def add_error(self, field: str | None, error: str) -> None:
        """Say on the form why it was refused."""

    def carry_out(self, subject: Any, /, *, actor: Any, origin: str) -> None:
        """Call ``operate``; raises ``OperatorError`` if that refuses."""


def _never(*_args: object, **_kwargs: object) -> bool:
    return False


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker only
    """An admin that shows and never changes, whatever permissions somebody may have been given."""

    change_list_template = "outbox/desk/stock_list.html"
    change_form_template = "outbox/desk/stock_form.html"
    actions = None
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    has_add_permission = _never
    has_change_permission = _never
    has_delete_permission = _never

    @property
    def urls(self) -> list[URLPattern]:
        """The pages; none of them shows a character that turns or hides others, and no refusal leaves the desk."""
        return [_within_the_desk(show_all(pattern)) for pattern in self.get_urls()]


class DeskAdmin(ReadOnlyAdmin):
    """An admin whose pages are the desk's own."""

    def check_view_permission(self, request: HttpRequest) -> None:
        """Refuse whoever may not look."""
        if not self.has_view_permission(request):
            raise PermissionDenied

    def list_url(self) -> str:
        """Return the address of the list of these rows."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        return reverse(name, current_app=self.admin_site.name)

    def carry_out(
        self,
        request: HttpRequest,
        form: CarriedOut,
        subject: Any,
        *,
        seen: Callable[[], Mapping[str, str]],
        done: Callable[[], object],
    ) -> bool:
        """Do to ``subject`` what was posted, and say what was done; False if it was refused.

        The form then says why, keeps what was entered, and has ``seen`` the subject as it is shown now.
        """
        if not form.is_valid() or typed.is_taken_up(request):
            return False
        try:
            form.carry_out(subject, actor=request.user, origin=origin_of(request))
        except OperatorError as refusal:
            form.add_error(None, self._with_link(refusal))
            form.data = form.data.copy()
            for name, value in seen().items():
                form.data[name] = value
            return False
        messages.success(request, str(done()))
        return True

    def give_file(
        self,
        request: HttpRequest,
        list_name: str,
        what: Mapping[str, str],
        *,
        respond: Callable[[str], HttpResponseBase],
        back: str,
    ) -> HttpResponseBase:
        """Give a list as a file in the format that is asked for; the audit notes who takes ``what`` of it.

        ``respond`` makes the file of a format. Whoever may not have it goes ``back``.
        """
        form = request.GET.get("format", "csv")
        if form not in sheets.offered_formats():
            raise Http404
        by: dict[str, Any] = {"actor": request.user, "origin": origin_of(request)}
        try:
            check_export(list_name, {**what, "format": form}, **by)
        except OperatorError as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(back)
        # Noted when the file is made: until a request's transaction is over, nobody else writes to the audit.
        file = respond(form)
        note_export(list_name, {**what, "format": form}, **by)
        return file

    def _with_link(self, refusal: OperatorError) -> str:
        """Return why it was refused, with a link to the message that stands in the way, if one does."""
        if not isinstance(refusal, EvidenceTaken):
            return str(refusal)
        url = reverse("admin:outbox_message_change", args=[refusal.message_id], current_app=self.admin_site.name)
        return format_html('{} <a href="{}">{}</a>', str(refusal), url, _("Open that message"))

    def page_context(self, request: HttpRequest, title: Any) -> dict[str, Any]:
        """Return what every page shows."""
        return {**self.admin_site.each_context(request), "opts": self.opts, "title": title}


def _within_the_desk(pattern: URLPattern) -> URLPattern:
    """Let a view answer with the desk's own pages where it refuses, and keep what was typed when a session is over."""
    view: Callable[..., HttpResponseBase] = pattern.callback

    @wraps(view)
    def within(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST" and not request.user.is_authenticated:
            if not typed.is_sealed(request):
                _note_denial(request, "not signed in", **kwargs)
            return error_pages.signed_out(request)
        typed.take_up(request)
        try:
            return view(request, *args, **kwargs)
        except PermissionDenied as refused:
            if request.method == "POST":
                _note_denial(request, "", **kwargs)
            return error_pages.handler403(request, refused)
        except Http404 as missing:
            return error_pages.handler404(request, missing)

    pattern.callback = within
    return pattern


def _note_denial(request: HttpRequest, why: str, *, object_id: str = "", **_: Any) -> None:
    """Note that somebody was refused an act by the page itself, before ``operate`` was asked.

    ``why`` is in English, not in the reader's words; without it the permission that the act takes is named.
    """
    match = request.resolver_match
    page = match.url_name if match and match.url_name else request.path
    act = request.POST.get("act") or request.POST.get("verb") or ACT_OF_PAGE.get(page, page)
    is_message = page.startswith("outbox_message_")
    takes = PERMISSIONS[Action(act)] if act in Action.values else ""
    note_denial(
        request.user.get_username(),
        act,
        f"message {object_id}" if is_message and object_id else f"{page} {object_id}".strip(),
        why=why or (takes if takes and not request.user.has_perm(takes) else "not permitted"),
        message_id=read_id(object_id) if is_message and object_id else None,
        reason=request.POST.get("reason", ""),
        origin=origin_of(request),
    )


def refuse_for(refusal: str, *, offered: bool = True) -> None:
    """Raise ``PermissionDenied`` for what a page has offered as not open to this person, or has not ``offered``."""
    if refusal or not offered:
        raise PermissionDenied(refusal)


def site_of(request: HttpRequest) -> str | None:
    """Return the name of the admin site that the request is at; a project may have several."""
    match = request.resolver_match
    return getattr(request, "current_app", None) or (match.namespace if match else None)


def word_of(request: HttpRequest, name: str) -> str:
    """Return what an address says of one thing; nothing where that is a word that no database can hold."""
    return word_in(request.GET, name)


def word_in(given: QueryDict, name: str) -> str:
    """Return the same of what an address or a form has given."""
    word = str(given.get(name, ""))
    return "" if "\0" in word else word


def read_posted(request: HttpRequest) -> QueryDict:
    """Return what was posted; by "I see to it" the owner is whoever did."""
    given = request.POST.copy()
    if "take" in given:
        given["owner"] = request.user.get_username()
    return given


def revision_now(rows: QuerySet[Any]) -> dict[str, str]:
    """Return the revision of the one row of ``rows`` as it is now, as a form posts it; 0 if it is not there."""
    return {"revision": str(rows.values_list("revision", flat=True).first() or 0)}


def narrowed(**by: str) -> str:
    """Return the end of an address that narrows a list down: ``?tab=failed&consumer=…``, without what is empty."""
    return "?" + urlencode({name: value for name, value in by.items() if value})


def page_of(rows: QuerySet[Any] | Sequence[Any], request: HttpRequest, per_page: int) -> Page[Any]:
    """Return the page of ``rows`` that the address asks for; one that is not there is the first or the last."""
    return Paginator(rows, per_page).get_page(request.GET.get("page"))


def neighbours(page: Page[Any], **by: str) -> dict[str, str]:
    """Return where the pages before and after are, of a list that is narrowed down ``by`` this; empty for none."""
    before = page.previous_page_number() if page.has_previous() else 0
    return {
        "newer_url": narrowed(**by, page=str(before) if before > 1 else "") if before else "",
        "older_url": narrowed(**by, page=str(page.next_page_number())) if page.has_next() else "",
    }


def find_row(rows: QuerySet[R], object_id: str) -> R | None:
    """Return the one of ``rows`` whose id stands in an address; None if it is not there, or that is no id."""
    id = read_id(object_id)
    return None if id is None else rows.filter(pk=id).first()


def client_address(request: HttpRequest) -> str | None:
    """Return from where the request came as an IP address, for django-axes; None if it is none."""
    try:
        return str(ip_address(origin_of(request)))
    except ValueError:
        return None
