"""Entitlements: given one by one or by the list, looked up, and taken back."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import Script
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from awards.admin.act_pages import act_page
from awards.admin.forms import VisibleTextForm
from awards.admin.ledgers import LedgerAdmin
from awards.admin.marks import state_as
from awards.admin.moments import MomentField, refuse_past
from awards.admin.person_lists import ImportForm, refuse_before_the_campaign
from awards.admin.whole_rows import SecondLook, WholeRowForm
from awards.clients import imports
from awards.clients.links import USUAL_VALIDITY, link_to, site_of, usable_until
from awards.errors import InvalidPerson
from awards.models import Campaign, Entitlement, EntitlementImport
from awards.persons import identity
from outbox.admin import csv_lines

DAYS = USUAL_VALIDITY // timedelta(days=1)
SEEN_EVERY = 2
"""Seconds after which the page of a list that is being written is read again."""
LINKS_READ_AT_ONCE = 2_000


class EntitlementForm(VisibleTextForm, WholeRowForm):
    """One right to one draw."""

    expires_at = MomentField(
        label=gettext_lazy("Valid until"),
        required=False,
        help_text=gettext_lazy("Leave empty for as long as the campaign runs."),
        validators=[refuse_past],
    )

    class Meta:
        model = Entitlement
        fields = ("campaign", "person", "source", "expires_at")

    def clean(self) -> dict[str, Any]:
        """Write the person as the campaign's draws do."""
        cleaned = super().clean() or self.cleaned_data
        refuse_before_the_campaign(self)
        campaign, person = cleaned.get("campaign"), cleaned.get("person")
        if isinstance(campaign, Campaign) and person:
            try:
                cleaned["person"] = identity(person, ignores_tags=campaign.ignores_tags)
            except InvalidPerson:
                self.add_error("person", _("A name or an e-mail address, without characters that are not seen."))
        return cleaned


@admin.register(Entitlement)
class EntitlementAdmin(SecondLook, LedgerAdmin):
    """Rights to draw. Nobody changes one; what nobody has used can be taken back."""

    form = EntitlementForm
    list_display = ("public_id", "campaign", "person", "source", "state", "given_at")
    list_select_related = ("campaign",)
    search_fields = ("public_id", "person")
    person_column, id_column = "person", "public_id"
    search_help_text = gettext_lazy("Entitlement id or person, in full")
    shown = ("campaign", "person", "source", "state", "given_by", "given_at", "expires_at", "used_at", "draw")
    actions = ("take_back",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entitlement]:
        """Read the database's clock with each."""
        return Entitlement.objects.with_clock().order_by(*self.get_ordering(request))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Entitlement | None:
        """Tell the row where the site is, for its link."""
        found: Any = super().get_object(request, object_id, from_field)
        if found is not None:
            found.site = site_of(request)
        return found  # type: ignore[no-any-return]

    def get_fields(self, _request: HttpRequest, obj: Entitlement | None = None) -> Any:
        """Ask for four things, and show the rest."""
        return ("campaign", "person", "source", "expires_at") if obj is None else (*self.shown, "link")

    def get_readonly_fields(self, _request: HttpRequest, obj: Entitlement | None = None) -> Any:
        """Show what there is."""
        return () if obj is None else (*self.shown, "link")

    @admin.display(description=gettext_lazy("state"))
    def state(self, entitlement: Entitlement) -> SafeString:
        """Show how it stands, as mark, word and colour."""
        return state_as(*_state(entitlement))

    @admin.display(description=gettext_lazy("link to draw by"))
    def link(self, entitlement: Entitlement) -> SafeString | str:
        """Show a link for whoever has the right, if it can still be used."""
        if _state(entitlement)[0] != "won":
            return "–"
        until = usable_until(entitlement, entitlement.campaign, clock=entitlement.clock)
        said = _("Valid until %(until)s. Whoever has it draws as this person.")
        return format_html(
            '<code class="mg-key" translate="no">{}</code><br><span class="help">{}</span>',
            link_to(entitlement, until=entitlement.clock + USUAL_VALIDITY, site=getattr(entitlement, "site", "")),
            said % {"until": date_format(timezone.localtime(until), "DATETIME_FORMAT")},
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tell who may give entitlements."""
        return request.user.has_perm("awards.give_entitlement")

    def has_give_permission(self, request: HttpRequest) -> bool:
        """Tell who may take them back."""
        return self.has_add_permission(request)

    def save_model(self, request: HttpRequest, obj: Entitlement, _form: Any, _change: bool) -> None:
        """Write down who gives it."""
        obj.given_by = request.user.get_username()
        obj.save()

    @admin.action(description=gettext_lazy("Take back what nobody has used"), permissions=["give"])
    def take_back(self, request: HttpRequest, chosen: QuerySet[Entitlement]) -> None:
        """Take back those chosen that can be, and say how many stay."""
        keys = list(chosen.values_list("pk", flat=True))
        many = Entitlement.objects.filter(pk__in=keys).withdraw()
        said = ngettext("%(count)d entitlement was taken back.", "%(count)d entitlements were taken back.", many)
        messages.success(request, said % {"count": many})
        if stay := len(keys) - many:
            said = ngettext(
                "%(count)d entitlement was used or taken back before.",
                "%(count)d entitlements were used or taken back before.",
                stay,
            )
            messages.warning(request, said % {"count": stay})


def _state(entitlement: Entitlement) -> tuple[str, str, str]:
    """Return colour, mark and word."""
    if entitlement.withdrawn_at is not None:
        return "revoked", "✕", _("taken back")
    if entitlement.used_at is not None:
        return "issued", "✓", _("used")
    if entitlement.expires_at is not None and entitlement.expires_at <= entitlement.clock:
        return "expired", "✕", _("expired")
    return "won", "◔", _("unused")


def links_of(campaign: Campaign, site: str) -> Iterator[str]:
    """Give the lines of a CSV file: who has not drawn yet, what earned the draw, a link, and until when it is valid."""
    usable = (
        Entitlement.objects.usable().with_clock().filter(campaign=campaign).select_related("campaign").order_by("pk")
    )
    titles = [_("person"), _("earned by"), _("link to draw by"), _("valid until")]
    return csv_lines(titles, (_linked(each, site) for each in usable.iterator(LINKS_READ_AT_ONCE)))


def _linked(entitlement: Entitlement, site: str) -> list[str]:
    until = usable_until(entitlement, entitlement.campaign, clock=entitlement.clock)
    link = link_to(entitlement, until=entitlement.clock + USUAL_VALIDITY, site=site)
    return [entitlement.person, entitlement.source, link, until.isoformat(timespec="seconds")]


@admin.register(EntitlementImport)
class EntitlementImportAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker only
    """Lists of entitlements: each is read whole, and then written by workers while its page shows how far it is."""

    list_display = ("at", "campaign", "actor", "lines", "done", "added")
    list_select_related = ("campaign",)
    ordering = ("-pk",)
    actions = None
    fields = ("campaign", "actor", "at", "expires_at")
    readonly_fields = fields

    class Media:
        css = {"all": ["awards/admin.css"]}
        js = [Script("awards/lists.js", defer=True)]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tell who may give entitlements."""
        return request.user.has_perm("awards.give_entitlement")

    def has_change_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """What happened is not edited."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """And stays."""
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Take a list; read it whole, and have it written."""
        if not self.has_add_permission(request):
            return super().add_view(request, form_url, extra_context)
        form = (
            ImportForm(request.POST, request.FILES)
            if request.method == "POST"
            else ImportForm(initial=request.GET.dict())
        )
        if form.is_valid():
            begun = imports.begin_import(
                form.cleaned_data["campaign"],
                form.entries,
                actor=request.user.get_username(),
                expires_at=form.cleaned_data["expires_at"],
            )
            self.log_addition(request, begun, f"{begun.lines} lines")
            return redirect(reverse("admin:awards_entitlementimport_change", args=[begun.pk]))
        template = "admin/awards/entitlementimport/list.html"
        return act_page(self, request, template, title=_("Give entitlements by a list"), context={"form": form})

    def get_urls(self) -> list[URLPattern]:
        """Add the file of links."""
        view = require_safe(self.admin_site.admin_view(self.links_view))
        return [path("<int:pk>/links/", view, name="awards_entitlementimport_links"), *super().get_urls()]

    def links_view(self, request: HttpRequest, pk: int) -> StreamingHttpResponse:
        """Return the links of all in the list's campaign who have not drawn yet, as a file for a mailing."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        listed = get_object_or_404(EntitlementImport.objects.select_related("campaign"), pk=pk)
        self.log_change(request, listed, "links to draw by, as a file")
        answer = StreamingHttpResponse(
            links_of(listed.campaign, site_of(request)), content_type="text/csv; charset=utf-8"
        )
        answer["Content-Disposition"] = f'attachment; filename="{listed.campaign.slug}-links.csv"'
        answer["Cache-Control"] = "no-store"
        return answer

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show a bar, and look again while it grows."""
        context |= {"every": SEEN_EVERY, "may_give": self.has_add_permission(request), "days": DAYS}
        answer = super().render_change_form(request, context, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        return answer
