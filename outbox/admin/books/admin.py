"""The books on the desk: a list, a book with what does not balance and its days, a day to close, a difference."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox import audit
from outbox.admin import timeline
from outbox.admin.base import DeskAdmin, neighbours, page_of, site_of, word_of
from outbox.admin.books import rows
from outbox.admin.books.forms import CloseDayForm, ExplainForm
from outbox.admin.forms import Panel, lacks_permission
from outbox.books import days
from outbox.books.declaring import get_book
from outbox.errors import OperatorError
from outbox.models import AuditEntry, BookDay, BookDifference, BookState
from outbox.operate.actions import Action

PER_PAGE = 50


@admin.register(BookState)
class BookStateAdmin(DeskAdmin):
    """Books: looked at here; days are closed through ``outbox.books.days`` alone."""

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of a day and of a difference."""
        wrap = self.admin_site.admin_view
        own = [
            path("<path:object_id>/day/<str:day>/", wrap(self.day_view), name="outbox_bookstate_day"),
            path(
                "<path:object_id>/difference/<int:id>/", wrap(self.difference_view), name="outbox_bookstate_difference"
            ),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the books."""
        self.check_view_permission(request)
        counts = _count_differences()
        context = {
            **self.page_context(request, gettext_lazy("Books")),
            "rows": [rows.ShownBook(state, counts.get(state.pk, 0)) for state in BookState.objects.order_by("name")],
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/books.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, _form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what does not balance in a book, and its last days."""
        self.check_view_permission(request)
        state = BookState.objects.filter(pk=object_id).first()
        if state is None:
            messages.warning(request, _("This book is not there."))
            return HttpResponseRedirect(self.list_url())
        found = BookDifference.objects.unexplained().filter(book=state.pk).order_by("at", "pk")
        page = page_of(found, request, PER_PAGE)
        context = {
            **self.page_context(request, state.name),
            "state": state,
            "shown": rows.ShownBook(state, page.paginator.count),
            "differences": rows.show_differences(page.object_list, request.user, site_of(request)),
            "days": rows.show_days(state.pk, days.today(), site_of(request)),
            **neighbours(page),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/book.html", context)

    def day_view(self, request: HttpRequest, object_id: str, day: str) -> HttpResponse:
        """Show a day, close it, or compare it with what it was when it was closed."""
        self.check_view_permission(request)
        of = _day_of(object_id, day)
        form = CloseDayForm()
        if request.method == "POST":
            form = CloseDayForm(request.POST)
            if self.carry_out(request, form, of, seen=dict, done=lambda: form.done):
                return HttpResponseRedirect(request.path)
        panel = Panel(form, lacks_permission(Action.CLOSE_DAY, request.user), is_open=form.is_bound)
        subject = days.subject_of(of.book, of.day)
        found = days.differences_of(of.book, of.day).order_by("at", "pk")[:PER_PAGE]
        closed = BookDay.objects.filter(book=of.book, day=of.day).order_by("-pk").first()
        context = {
            **self.page_context(request, f"{of.book} {of.day:%Y-%m-%d}"),
            "of": of,
            "book_url": self._book_url(request, of.book),
            "stated": days.state_day(of.book, of.day),
            "closed": closed,
            "vendor": _vendor_of(closed),
            "verified": self._verify(request, of) if closed and word_of(request, "verify") else None,
            "differences": rows.show_differences(found, request.user, site_of(request)),
            "panels": [panel] if get_book(of.book) else [],
            "events": [timeline.action_event(entry) for entry in audit.acts_about(subject, Action.CLOSE_DAY)],
            "here": request.path,
        }
        return TemplateResponse(request, "outbox/desk/book_day.html", context)

    def difference_view(self, request: HttpRequest, object_id: str, id: int) -> HttpResponse:
        """Show a difference and what to do, or explain it and go back to its book."""
        self.check_view_permission(request)
        difference = BookDifference.objects.filter(book=object_id, pk=id).first()
        if difference is None:
            raise Http404
        form = ExplainForm()
        if request.method == "POST":
            form = ExplainForm(request.POST)
            if self.carry_out(request, form, difference.pk, seen=dict, done=lambda: form.done):
                return HttpResponseRedirect(self._book_url(request, difference.book))
        is_over = bool(difference.gone_at or difference.explained_at)
        panel = Panel(form, lacks_permission(Action.EXPLAIN, request.user), is_open=form.is_bound)
        [shown] = rows.show_differences([difference], request.user, site_of(request))
        context = {
            **self.page_context(request, difference.get_kind_display()),
            "shown": shown,
            "difference": difference,
            "book_url": self._book_url(request, difference.book),
            "panels": [] if is_over else [panel],
            "here": request.path,
        }
        return TemplateResponse(request, "outbox/desk/book_difference.html", context)

    def _verify(self, request: HttpRequest, of: days.DayOfBook) -> days.Verified | None:
        try:
            return days.verify_day(of.book, of.day)
        except OperatorError as refusal:
            messages.error(request, str(refusal))
            return None

    def _book_url(self, request: HttpRequest, book: str) -> str:
        return reverse("admin:outbox_bookstate_change", args=[book], current_app=site_of(request))


def _count_differences() -> dict[str, int]:
    found = BookDifference.objects.unexplained().values_list("book").annotate(many=Count("pk"))
    return dict(found)


def _day_of(book: str, text: str) -> days.DayOfBook:
    """Return the day that an address names."""
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None or not BookState.objects.filter(pk=book).exists():
        raise Http404
    return days.DayOfBook(book, day)


def _vendor_of(closed: BookDay | None) -> dict[str, Any]:
    """Return what the other side's book said when the day was closed."""
    entry = None if closed is None else AuditEntry.objects.filter(pk=closed.entry).first()
    return dict(entry.after) if entry is not None else {}
