"""What is only looked at: the engine's heartbeats, and the audit with the check of its chain."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox import audit
from outbox.admin import formats
from outbox.admin.base import ReadOnlyAdmin
from outbox.audit import PRUNED
from outbox.models import AuditEntry, Heartbeat
from outbox.operate.actions import API_REFUSED, BULK_STATE, Action

ENTRIES_COUNTED = 10_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # the same
    """Pages over the newest rows; it counts no further than ``ENTRIES_COUNTED``, so that its cost has an end."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or ``ENTRIES_COUNTED`` if there are more."""
        return int(self.object_list[:ENTRIES_COUNTED].count())  # type: ignore[attr-defined]  # the admin gives a queryset


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    """When the engine's own chores last succeeded."""

    list_display = ("name", "at", "data")


class ActionFilter(admin.SimpleListFilter):
    """One act only; the choices are those of the code, not read from the table."""

    title = gettext_lazy("act")
    parameter_name = "act"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        """Offer every act."""
        others = [(PRUNED, _("remove old entries")), (API_REFUSED, _("a refused call of the API"))]
        return [*((act.value, str(act.label)) for act in Action), *others]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """Keep the act that was chosen."""
        known = {value for value, _label in self.lookup_choices}
        return queryset.filter(action=self.value()) if self.value() in known else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what and why, newest first; the chain of hashes is checked on request."""

    list_display = ("when", "actor", "act", "subject", "promise", "reason", "origin")
    search_fields = ("=actor", "=message_id")
    search_help_text = gettext_lazy("Who, or the id of a message")
    list_filter = (ActionFilter,)
    ordering = ("-id",)
    sortable_by = ()
    paginator = CappedPaginator
    list_per_page = 50
    change_list_template = "outbox/desk/audit_list.html"

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
        return format_html('<a href="{}">#{}</a>', address, entry.message_id)

    @admin.display(description=gettext_lazy("act"))
    def act(self, entry: AuditEntry) -> str:
        """Name what was done."""
        if entry.action == PRUNED:
            return _("remove old entries")
        if entry.action == BULK_STATE:
            return _("bulk operation: a change of state by itself")
        if entry.action == API_REFUSED:
            return _("a refused call of the API")
        return str(Action(entry.action).label) if entry.action in Action.values else entry.action

    def get_urls(self) -> list[URLPattern]:
        """Add the check of the chain."""
        check = path("verify/", self.admin_site.admin_view(self.verify_view), name="outbox_auditentry_verify")
        return [check, *super().get_urls()]

    def has_view_permission(self, request: HttpRequest, _entry: AuditEntry | None = None) -> bool:
        """Ask for a permission of its own: seeing messages is not seeing what colleagues did."""
        return request.user.has_perm("outbox.view_audit")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the audit on the index to those who may see it."""
        return self.has_view_permission(request)

    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Check the whole chain and say what was found."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            broken = audit.verify_chain()
            if broken is None:
                messages.success(
                    request,
                    _("The chain is whole. Its last hash is %(digest)s; note it, to see later if the end was cut off.")
                    % {"digest": audit.last_digest()},
                )
            else:
                messages.error(
                    request,
                    _("The chain breaks at entry %(id)s: it, or an entry before it, was changed or removed.")
                    % {"id": broken.pk},
                )
        return HttpResponseRedirect(reverse("admin:outbox_auditentry_changelist", current_app=self.admin_site.name))
