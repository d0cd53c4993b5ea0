"""One prize: its report, its fields, and the acts on its stock and its pool of codes."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.forms import Script
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from awards.admin.doubts import doubts_about_prize, warn
from awards.admin.error_texts import explain_refusal
from awards.admin.forms import CodesForm, PrizeForm, StockForm
from awards.admin.moments import MOMENTS
from awards.admin.whole_rows import SecondLook
from awards.errors import CodesKnown, ManagingError
from awards.listeners import ISSUED_BY
from awards.models import Award, Coupon, Kind, Prize, StockChange
from awards.models.coupon import mask_code
from awards.selectors import campaign_report
from awards.services import campaigns
from awards.services.written_stock import rest_of

DAYS = 14


class StockChangeInline(admin.TabularInline):  # type: ignore[type-arg]  # generic for the type checker only
    """Who changed the stock and why, the latest first."""

    model = StockChange
    fields = ("at", "act", "pieces", "actor", "reason")
    readonly_fields = fields
    extra = 0
    can_delete = False
    ordering = ("-pk",)

    def has_add_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """Changes come from acts alone."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """What happened is not edited."""
        return False


@admin.register(Prize)
class PrizeAdmin(SecondLook, admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker only
    """Prizes. They are added on their campaign's page."""

    form = PrizeForm
    list_display = ("name", "campaign", "kind", "value", "weight", "stock")
    list_select_related = ("campaign",)
    search_fields = ("name", "campaign__name")
    ordering = ("-campaign__starts_at", "-weight", "pk")
    fieldsets = (
        (None, {"fields": ("campaign", "name", "kind", "value", "vendor_sku", "weight")}),
        (
            gettext_lazy("When and how often it is won"),
            {"fields": ("starts_at", "ends_at", "wins_per_day", "wins_per_person", "is_fallback")},
        ),
        (gettext_lazy("Claim and return"), {"fields": ("claim_days", "returns_to_stock")}),
    )
    formfield_overrides = MOMENTS
    readonly_fields = ("campaign",)
    inlines = (StockChangeInline,)
    actions = None

    class Media:
        css = {"all": ["awards/admin.css"]}
        js = [Script("awards/lists.js", defer=True)]

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Prizes are added on their campaign's page."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Prize | None = None) -> bool:
        """Let nobody delete what somebody has won, or what has codes."""
        if not super().has_delete_permission(request, obj):
            return False
        return obj is None or not getattr(obj, "in_use", True)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prize]:
        """Read the campaign with each prize, and on a prize's page whether anybody has won it or it has codes."""
        prizes: QuerySet[Prize] = super().get_queryset(request).select_related("campaign")
        if request.resolver_match is None or "object_id" not in request.resolver_match.kwargs:
            return prizes
        won = Exists(Award.objects.filter(prize=OuterRef("pk")))
        in_pool = Exists(Coupon.objects.filter(prize=OuterRef("pk")))
        return prizes.annotate(in_use=won | in_pool)

    def save_model(self, request: HttpRequest, obj: Prize, form: Any, _change: bool) -> None:
        """Write what was changed in the form and nothing else: draws change the stock meanwhile."""
        obj.save(update_fields=form.changed_data)
        warn(request, doubts_about_prize(obj))

    def get_urls(self) -> list[URLPattern]:
        """Add the acts."""
        acts = [("<int:pk>/stock/", self.stock_view, "stock"), ("<int:pk>/codes/", self.codes_view, "codes")]
        own = [path(at, self.admin_site.admin_view(view), name=f"awards_prize_{act}") for at, view, act in acts]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the report above the fields."""
        prize = context["original"]
        if prize is not None:
            report = campaign_report.report_campaign(prize.campaign, [prize])
            context |= {
                "line": report.lines[0],
                "complete": report.complete,
                "days": campaign_report.last_days(prize, DAYS),
                "issuer": ISSUED_BY[Kind(prize.kind)],
                "may_change_stock": request.user.has_perm("awards.change_stock"),
                "may_keep_codes": request.user.has_perm("awards.keep_codes"),
                "is_coupon": prize.kind == Kind.COUPON,
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def stock_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take a change of stock."""
        prize = self._prize(request, pk, "awards.change_stock")
        limited = prize.stock is not None
        form = (
            StockForm(request.POST or None, limited=limited) if request.method == "POST" else StockForm(limited=limited)
        )
        if form.is_valid():
            try:
                self._change_stock(request, prize, form)
            except ManagingError as error:
                form.add_error(None, explain_refusal(error))
            else:
                return redirect(reverse("admin:awards_prize_change", args=[pk], current_app=self.admin_site.name))
        context = {"form": form, "waiting": campaign_report.report_campaign(prize.campaign, [prize]).lines[0].waiting}
        return self._page(request, prize, "admin/awards/prize/stock.html", _("Change the stock"), context)

    def _change_stock(self, request: HttpRequest, prize: Prize, form: StockForm) -> None:
        with transaction.atomic(using=router.db_for_write(Prize)):
            campaigns.refuse_once_more(prize, form.change_request, actor=request.user.get_username())
            done = campaigns.change_stock(prize, form.change_request, actor=request.user.get_username())
            self.log_change(request, prize, f"{done.get_act_display()} {done.pieces or ''}: {done.reason}")
            prize.refresh_from_db(fields=["stock"])
            left = rest_of(prize.pk)
        if prize.stock is None:
            messages.success(request, _("The stock has no limit now."))
        else:
            messages.success(request, _("The stock is %(stock)d now.") % {"stock": left})

    def codes_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take a list of codes: first to look it through, then to add it."""
        prize = self._prize(request, pk, "awards.keep_codes")
        if prize.kind != Kind.COUPON:
            raise Http404
        posted = request.method == "POST"
        form = CodesForm(request.POST, request.FILES, prize=prize) if posted else CodesForm(prize=prize)
        context: dict[str, Any] = {
            "form": form,
            "line": campaign_report.report_campaign(prize.campaign, [prize]).lines[0],
        }
        if posted and form.is_valid() and form.code_list is not None:
            codes = form.code_list.codes
            if "add" in request.POST and self._add_codes(request, prize, form, codes):
                return redirect(reverse("admin:awards_prize_change", args=[pk], current_app=self.admin_site.name))
            if not form.errors:
                context |= {"code_list": form.code_list, "first": mask_code(codes[0]), "last": mask_code(codes[-1])}
                context["listed"] = "\n".join(codes)
        return self._page(request, prize, "admin/awards/prize/codes.html", _("Add codes"), context)

    def _add_codes(self, request: HttpRequest, prize: Prize, form: CodesForm, codes: list[str]) -> bool:
        try:
            with transaction.atomic(using=router.db_for_write(Prize)):
                added = campaigns.add_codes(prize, codes)
                self.log_change(request, prize, f"{added} codes added")
        except CodesKnown:
            form.add_error(None, _("Nothing was added: somebody else has just added some of these codes."))
            return False
        said = ngettext("%(count)d code was added.", "%(count)d codes were added.", added)
        messages.success(request, said % {"count": added})
        return True

    def _prize(self, request: HttpRequest, pk: int, permission: str) -> Prize:
        if not request.user.has_perm(permission):
            raise PermissionDenied
        prize = Prize.objects.select_related("campaign").filter(pk=pk).first()
        if prize is None:
            raise Http404
        return prize

    def _page(
        self, request: HttpRequest, prize: Prize, template: str, title: str, context: dict[str, Any]
    ) -> HttpResponse:
        whole = {
            **self.admin_site.each_context(request),
            "title": title,
            "subtitle": str(prize),
            "opts": self.opts,
            "prize": prize,
            "media": self.media,
            "back": reverse("admin:awards_prize_change", args=[prize.pk], current_app=self.admin_site.name),
            **context,
        }
        return TemplateResponse(request, template, whole)


class FreeFilter(admin.SimpleListFilter):
    """Codes that somebody has, or nobody."""

    title = gettext_lazy("belongs to")
    parameter_name = "free"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        """Offer both."""
        return [("yes", _("nobody: free")), ("no", _("an award: issued"))]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Coupon]) -> QuerySet[Coupon]:
        """Keep what was chosen."""
        return queryset.filter(award__isnull=self.value() == "yes") if self.value() else queryset


@admin.register(Coupon)
class CouponAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker only
    """The pools of codes, masked. A code in full is found by searching for it, and seen by whoever won it."""

    list_display = ("masked_code", "prize", "award", "added_at", "issued_at")
    list_select_related = ("prize", "award")
    list_filter = (FreeFilter,)
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("=code", "=award__public_id")
    search_help_text = gettext_lazy("Code or award id, in full")
    show_full_result_count = False
    list_per_page = 50
    ordering = ("-pk",)

    class Media:
        css = {"all": ["awards/admin.css"]}
        js = [Script("awards/lists.js", defer=True)]

    fields = ("masked_code", "prize", "award", "added_at", "issued_at")
    readonly_fields = fields
    actions = ("withdraw",)

    @admin.display(description=gettext_lazy("code"))
    def masked_code(self, coupon: Coupon) -> str:
        """Show the end of the code."""
        return coupon.masked

    @admin.action(description=gettext_lazy("Withdraw codes that nobody has"), permissions=["keep_codes"])
    def withdraw(self, request: HttpRequest, chosen: QuerySet[Coupon]) -> None:
        """Delete the codes chosen that nobody has, and say how many stay."""
        number = chosen.count()
        withdrawn = campaigns.withdraw_codes(Coupon.objects.filter(pk__in=list(chosen.values_list("pk", flat=True))))
        said = ngettext("%(count)d code was withdrawn.", "%(count)d codes were withdrawn.", withdrawn)
        messages.success(request, said % {"count": withdrawn})
        if stay := number - withdrawn:
            said = ngettext(
                "%(count)d code belongs to an award and stays.", "%(count)d codes belong to awards and stay.", stay
            )
            messages.warning(request, said % {"count": stay})

    def has_keep_codes_permission(self, request: HttpRequest) -> bool:
        """Tell who may withdraw."""
        return request.user.has_perm("awards.keep_codes")

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Codes are added on their prize's page."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """Nobody changes a code."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """Codes are withdrawn, not deleted one by one."""
        return False
