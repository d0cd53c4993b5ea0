"""The audit on the desk: who did what and why, all of it, and what the last check of its chain has found."""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.admin import formats, sheets
from outbox.admin.audit import exporting, listing, words
from outbox.admin.audit.filters import NAMES, Filters, read_filters
from outbox.admin.audit.words import acts_in_words
from outbox.admin.base import DeskAdmin, narrowed
from outbox.admin.forms import lacks_permission
from outbox.admin.periods import PERIODS
from outbox.admin.seeing import permission_to_see
from outbox.audit import ITSELF
from outbox.models import AuditEntry
from outbox.monitoring.chain import read_check
from outbox.operate.actions import Action


@admin.register(AuditEntry)
class AuditEntryAdmin(DeskAdmin):
    """Who did what and why, the newest first."""

    fields = (
        "when",
        "actor",
        "origin",
        "act",
        "promise",
        "subject",
        "why",
        "was",
        "became",
        "texts_digest",
        "previous",
        "digest",
    )

    def get_readonly_fields(self, request: HttpRequest, _entry: AuditEntry | None = None) -> tuple[str, ...]:
        """Let the message be a link for those alone who may see messages."""
        plain = {} if request.user.has_perm("outbox.view_message") else {"promise": "promise_id"}
        return tuple(plain.get(name, name) for name in self.fields)

    def get_fields(self, request: HttpRequest, entry: AuditEntry | None = None) -> tuple[str, ...]:
        """Show all of it."""
        return self.get_readonly_fields(request, entry)

    def get_urls(self) -> list[URLPattern]:
        """Add the audit as a file."""
        export = path("export/", self.admin_site.admin_view(self.export_view), name="outbox_auditentry_export")
        return [export, *super().get_urls()]

    def has_view_permission(self, request: HttpRequest, _entry: AuditEntry | None = None) -> bool:
        """Ask for a permission of its own: seeing messages is not seeing what colleagues did."""
        return request.user.has_perm(permission_to_see("outbox_auditentry_changelist"))

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the audit on the index to those who may see it."""
        return self.has_view_permission(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show a page of the audit, as it is narrowed down."""
        self.check_view_permission(request)
        acts = acts_in_words()
        filters = read_filters(request, list(acts))
        for wrong in filters.wrong:
            messages.warning(request, wrong)
        after, before = request.GET.get("after", ""), request.GET.get("before", "")
        page = listing.read_page(filters, after=after, before=before)
        context = {
            **self.page_context(request, gettext_lazy("Audit")),
            "check": words.describe_check(read_check()),
            "filters": filters,
            "acts": sorted(acts.items(), key=lambda act: act[1]),
            "periods": [(name, label) for name, (label, _span) in PERIODS.items()],
            "rows": [(entry, words.act_of(entry, acts)) for entry in page.rows],
            "page": page,
            "is_first": not (after or before),
            "first_url": narrowed(**filters.given) if filters.given else self.list_url(),
            "newer_url": narrowed(**filters.given, before=page.newer) if page.newer else "",
            "older_url": narrowed(**filters.given, after=page.older) if page.older else "",
            "exports": [(form, self._export_url(filters, form)) for form in sheets.offered_formats()],
            "export_refusal": lacks_permission(Action.EXPORT, request.user),
            "list_url": self.list_url(),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/audit.html", context)

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Give the audit, as it is narrowed down, as a file; the audit notes that as well."""
        self.check_view_permission(request)
        filters = read_filters(request, list(acts_in_words()))
        respond = partial(exporting.respond, filters)
        return self.give_file(request, ITSELF, filters.given, respond=respond, back=self.list_url())

    def _export_url(self, filters: Filters, form: str) -> str:
        address = reverse("admin:outbox_auditentry_export", current_app=self.admin_site.name)
        return address + narrowed(**{name: filters.given.get(name, "") for name in NAMES}, format=form)

    @admin.display(description=gettext_lazy("when"))
    def when(self, entry: AuditEntry) -> str:
        """Write the moment to the second: acts follow each other quickly."""
        return formats.format_moment(entry.at)

    @admin.display(description=gettext_lazy("message"))
    def promise(self, entry: AuditEntry) -> str:
        """Lead to the message that was acted on, while it is kept."""
        if entry.message_id is None:
            return "–"
        address = reverse("admin:outbox_message_change", args=[entry.message_id], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', address, self.promise_id(entry))

    @admin.display(description=gettext_lazy("message"))
    def promise_id(self, entry: AuditEntry) -> str:
        """Name the message that was acted on."""
        return "–" if entry.message_id is None else f"#{entry.message_id}"

    @admin.display(description=gettext_lazy("act"))
    def act(self, entry: AuditEntry) -> str:
        """Name what was done."""
        return words.act_of(entry, acts_in_words())

    @admin.display(description=gettext_lazy("reason"))
    def why(self, entry: AuditEntry) -> str:
        """Show the reason, or that it was erased."""
        return _("erased") if entry.is_erased else entry.reason or "–"

    @admin.display(description=gettext_lazy("before"))
    def was(self, entry: AuditEntry) -> Any:
        """Show what was there before, or that it was erased."""
        return _("erased") if entry.is_erased else formats.format_json(entry.before)

    @admin.display(description=gettext_lazy("after"))
    def became(self, entry: AuditEntry) -> Any:
        """Show what was there afterwards, or that it was erased."""
        return _("erased") if entry.is_erased else formats.format_json(entry.after)
