"""Campaigns and their prizes: how they stand, and how they are set up."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.db import router, transaction
from django.db.models import QuerySet
from django.forms import Script
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from awards.admin.doubts import doubts_about_campaign, doubts_about_prize, warn
from awards.admin.forms import CampaignForm, PrizeForm, PrizeFormSet
from awards.admin.histories import HistoryInWords
from awards.admin.marks import state_as
from awards.admin.moments import MOMENTS
from awards.admin.whole_rows import SecondLook
from awards.listeners import ISSUED_BY
from awards.models import Campaign, Phase, Prize
from awards.models.campaign import CampaignQuerySet
from awards.sale.pausing import follow_end, lock_pausing
from awards.selectors import campaign_report
from awards.services import campaigns
from awards.services.sales import hold_still, say_changed

MARKS = {Phase.RUNNING: "▶", Phase.NOT_BEGUN: "◷", Phase.OVER: "■", Phase.OFF: "✕"}


class PrizeInline(admin.TabularInline):  # type: ignore[type-arg]  # generic for the type checker only
    """The prizes, on their campaign's page. What somebody may have won is deleted on its own page, if at all."""

    model = Prize
    form = PrizeForm
    formset = PrizeFormSet
    extra = 0
    fields = ("name", "kind", "value", "vendor_sku", "weight", "stock")
    show_change_link = True
    can_delete = False
    ordering = ("-weight", "pk")


class PhaseFilter(admin.SimpleListFilter):
    """Campaigns that stand in one way; the choices are those of the code."""

    title = gettext_lazy("state")
    parameter_name = "phase"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        """Offer every state."""
        return [(phase.value, str(phase.label)) for phase in Phase]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Campaign]) -> QuerySet[Campaign]:
        """Keep the state that was chosen."""
        phase = self.value()
        if phase not in Phase.values or not isinstance(queryset, CampaignQuerySet):
            return queryset
        return queryset.in_phase(Phase(phase))


@admin.register(Campaign)
class CampaignAdmin(SecondLook, HistoryInWords):
    """Campaigns with their prizes."""

    list_display = ("name", "state", "who", "when", "awards_won", "money_at_stake")
    fieldsets = (
        (None, {"fields": ("name", "slug", "description", "starts_at", "ends_at", "active")}),
        (gettext_lazy("Who may draw"), {"fields": ("access", "needs_entitlement", "ignores_tags")}),
        (gettext_lazy("How often"), {"fields": ("draws_per_person", "draws_per_day", "draws_per_address")}),
        (gettext_lazy("What is won"), {"fields": ("losing_weight", "budget_money", "budget_points")}),
        (gettext_lazy("What comes back"), {"fields": ("restock_revoked", "redraws_expired", "allows_debt")}),
    )
    list_filter = (PhaseFilter,)
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    ordering = ("-starts_at",)
    inlines = (PrizeInline,)
    formfield_overrides = MOMENTS
    form = CampaignForm
    show_facets = admin.ShowFacets.NEVER
    actions = ("switch_on", "switch_off", "copy")

    class Media:
        css = {"all": ["awards/admin.css"]}
        js = [Script("awards/lists.js", defer=True)]

    def save_model(self, _request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        """Write what was changed in the form and nothing else: draws count what is spent meanwhile."""
        obj.save(update_fields=form.changed_data if change else None)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Have the page of a flash sale read anew when all is written, and Redis follow where a prize was added."""
        sale = form.instance.how_sold if "ends_at" in form.changed_data else None
        if sale is not None:
            lock_pausing()
        super().save_related(request, form, formsets, change)
        added = [prize for formset in formsets for prize in formset.new_objects if prize.stock is not None]
        if added:
            hold_still(added[0])
        if sale is not None:
            follow_end(sale, before=form.initial["ends_at"])
        say_changed(form.instance.pk)
        self._warn(request, form, formsets)

    def _warn(self, request: HttpRequest, form: Any, formsets: Any) -> None:
        """Say what is odd about what was saved; new dates make a difference to every prize."""
        warn(request, doubts_about_campaign(form.instance))
        saved = {prize.pk for each in formsets for prize in (*each.new_objects, *dict(each.changed_objects))}
        prizes = Prize.objects.filter(campaign=form.instance).select_related("campaign").order_by("pk")
        for prize in prizes if {"starts_at", "ends_at"} & set(form.changed_data) else prizes.filter(pk__in=saved):
            warn(request, doubts_about_prize(prize))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        """Read the database's clock and the totals with each campaign, in the order of the list."""
        counted = campaign_report.with_totals(Campaign.objects.with_clock().with_sale())
        if request.resolver_match is not None and "object_id" in request.resolver_match.kwargs:
            counted = campaigns.with_traces(counted)
        return counted.order_by(*self.get_ordering(request))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer no deletion by the dozen: what people have drawn in cannot go, and looking for that reads all of it."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def has_delete_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        """Let nobody delete a campaign in which somebody has drawn."""
        if not super().has_delete_permission(request, obj):
            return False
        return obj is None or not campaigns.traces_of(obj).has_draws

    @admin.display(description=gettext_lazy("state"))
    def state(self, campaign: Campaign) -> SafeString:
        """Show the state as mark, word and colour."""
        return phase_mark(campaign.phase)

    @admin.display(description=gettext_lazy("who draws"))
    def who(self, campaign: Campaign) -> SafeString:
        """Show who may draw, with a mark on what is open to anybody."""
        if campaign.is_open:
            return format_html('<span class="mg-alert"><span aria-hidden="true">⚠</span> {}</span>', _("anybody"))
        said = _("by entitlement") if campaign.needs_entitlement else _("who is let in")
        return format_html("<span>{}</span>", said)

    @admin.display(description=gettext_lazy("begins and ends"), ordering="starts_at")
    def when(self, campaign: Campaign) -> SafeString:
        """Show the days, with the exact times in the tooltip."""
        return format_html("<span>{} –<br>{}</span>", _day(campaign.starts_at), _day(campaign.ends_at))

    @admin.display(description=gettext_lazy("awards won"))
    def awards_won(self, campaign: Any) -> str:
        """Show how many awards were won, as far as they are counted."""
        return number_format(campaign.won or 0, force_grouping=True)

    @admin.display(description=gettext_lazy("money at stake"))
    def money_at_stake(self, campaign: Any) -> str:
        """Show what the limited stocks are worth, points left aside."""
        return number_format(campaign.money or Decimal(0), decimal_pos=2, force_grouping=True)

    @admin.action(description=gettext_lazy("Switch on"), permissions=["change"])
    def switch_on(self, request: HttpRequest, chosen: QuerySet[Campaign]) -> None:
        """Let people draw again."""
        self._switch(request, chosen, active=True)

    @admin.action(description=gettext_lazy("Switch off: stop all draws at once"), permissions=["change"])
    def switch_off(self, request: HttpRequest, chosen: QuerySet[Campaign]) -> None:
        """Stop all draws."""
        self._switch(request, chosen, active=False)

    def _switch(self, request: HttpRequest, chosen: QuerySet[Campaign], *, active: bool) -> None:
        changed = [campaign for campaign in chosen if campaign.active != active]
        Campaign.objects.filter(pk__in=[campaign.pk for campaign in changed]).update(active=active)
        for campaign in changed:
            with transaction.atomic(using=router.db_for_write(Campaign)):
                say_changed(campaign.pk)
            self.log_change(request, campaign, "switched on" if active else "switched off")
        on = ngettext("%(count)d campaign was switched on.", "%(count)d campaigns were switched on.", len(changed))
        off = ngettext("%(count)d campaign was switched off.", "%(count)d campaigns were switched off.", len(changed))
        messages.success(request, (on if active else off) % {"count": len(changed)})

    @admin.action(description=gettext_lazy("Copy, with prizes, switched off"), permissions=["add"])
    def copy(self, request: HttpRequest, chosen: QuerySet[Campaign]) -> HttpResponse | None:
        """Copy the campaigns; with one only, go on to the copy."""
        copies = [campaigns.copy_campaign(campaign) for campaign in chosen]
        for twin in copies:
            self.log_addition(request, twin, "copied")
        said = ngettext(
            "%(count)d campaign was copied. The copy is switched off and has no codes; check dates and stocks.",
            "%(count)d campaigns were copied. The copies are switched off and have no codes; check dates and stocks.",
            len(copies),
        )
        messages.success(request, said % {"count": len(copies)})
        return (
            redirect(reverse("admin:awards_campaign_change", args=[copies[0].pk], current_app=self.admin_site.name))
            if len(copies) == 1
            else None
        )

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show how the campaign stands above its fields."""
        campaign = context["original"]
        if campaign is not None:
            report = campaign_report.report_campaign(campaign)
            context |= {
                "report": report,
                "phase": phase_mark(campaign.phase),
                "warnings": list(_warnings(campaign, report)),
                "issued_by": ISSUED_BY,
                "refusals": campaign_report.refusals_of(campaign),
                "sale": campaign.how_sold if request.user.has_perm("awards.view_sale") else None,
                "may_sell": campaign.how_sold is None and request.user.has_perm("awards.add_sale"),
                "may_give": request.user.has_perm("awards.give_entitlement"),
            }
        return super().render_change_form(request, context, *args, **kwargs)


def phase_mark(phase: Phase) -> SafeString:
    """Return a state as mark, word and colour."""
    return state_as(phase, MARKS[phase], phase.label)


def _day(moment: datetime) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        date_format(timezone.localtime(moment), "DATE_FORMAT"),
    )


def _warnings(campaign: Campaign, report: campaign_report.CampaignReport) -> list[str]:
    said = []
    if campaign.is_open:
        said.append(_("Open: anybody draws under any name, as often as they like. This is for demonstrations only."))
    if campaign.phase in (Phase.RUNNING, Phase.NOT_BEGUN) and not report.drawable:
        said.append(_("Nothing can be won: every prize is out of stock or has the weight 0. Draws are refused."))
    for line in report.lines:
        if line.codes_missing:
            text = ngettext(
                "%(prize)s: the pool lacks %(count)d code for what is in stock and what waits.",
                "%(prize)s: the pool lacks %(count)d codes for what is in stock and what waits.",
                line.codes_missing,
            )
            said.append(text % {"prize": line.prize.name, "count": line.codes_missing})
    return said
