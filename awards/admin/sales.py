"""Flash sales: how each is set up, and the page on which one is watched, opened and closed."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import Script
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from awards import conf
from awards.admin.act_pages import act_page
from awards.admin.campaigns import phase_mark
from awards.admin.error_texts import explain_refusal
from awards.admin.forms import VisibleTextForm
from awards.admin.histories import HistoryInWords
from awards.admin.sale_acts import closed_by, press
from awards.admin.sale_states import state_mark
from awards.admin.whole_rows import SecondLook, WholeRowForm
from awards.errors import SaleOpened
from awards.models import Sale, SaleState, StockIn
from awards.sale.pausing import NEEDED, follow_list, lock_pausing
from awards.sale.watching import watch
from awards.services import sales
from outbox.admin import consumer_names

SEEN_EVERY = 5
"""Seconds after which the page is read again."""


class SaleForm(VisibleTextForm, WholeRowForm):
    """A sale, and what it can be."""

    class Meta:
        model = Sale
        fields = ("campaign", "stock_in", "rate", "burst", "queues", "within", "paused_consumers")

    def clean_stock_in(self) -> str:
        """Refuse a stock in Redis where no Redis is named."""
        chosen = str(self.cleaned_data["stock_in"])
        if chosen == StockIn.REDIS and not conf.has_redis():
            said = _("There is no Redis: set REDIS_URL for web and workers, or take the pieces from the database.")
            raise forms.ValidationError(said)
        return chosen

    def clean_paused_consumers(self) -> str:
        """Refuse what is no consumer, and what the sale lives on."""
        given = str(self.cleaned_data["paused_consumers"])
        names = consumer_names()
        pausable = [name for name in names if name not in NEEDED]
        for name in given.split():
            if name in NEEDED:
                raise forms.ValidationError(_("%(name)s cannot be paused: the sale itself needs it.") % {"name": name})
            if name not in names:
                close = get_close_matches(name, pausable, n=1, cutoff=0.4) or pausable[:1]
                said = _("There is no consumer %(name)s. Did you mean %(other)s?")
                raise forms.ValidationError(said % {"name": name, "other": "".join(close)})
        return given


@admin.register(Sale)
class SaleAdmin(SecondLook, HistoryInWords):
    """Flash sales. A campaign has one at most; without one it is drawn from as ever."""

    form = SaleForm
    list_display = ("campaign", "state_mark", "stock_in", "rate", "queues", "watched")
    list_select_related = ("campaign",)
    fieldsets = (
        (None, {"fields": ("campaign",)}),
        (gettext_lazy("Stock"), {"fields": ("stock_in",)}),
        (gettext_lazy("How fast"), {"fields": ("rate", "burst")}),
        (gettext_lazy("The queue"), {"fields": ("queues", "within")}),
        (gettext_lazy("Meanwhile"), {"fields": ("paused_consumers",)}),
    )
    search_fields = ("campaign__name", "campaign__slug")
    ordering = ("-pk",)
    actions = None

    class Media:
        css = {"all": ["awards/admin.css"]}
        js = [Script("awards/lists.js", defer=True)]

    def get_queryset(self, _request: HttpRequest) -> QuerySet[Sale]:
        """Read the database's clock with each sale."""
        return Sale.objects.with_clock().order_by(*self.ordering)

    def get_readonly_fields(self, _request: HttpRequest, obj: Sale | None = None) -> tuple[str, ...]:
        """Keep the campaign of a sale, and where its stock is while people draw from it."""
        if obj is None:
            return ()
        return ("campaign",) if obj.state in (SaleState.NEW, SaleState.CLOSED) else ("campaign", "stock_in")

    def save_model(self, _request: HttpRequest, obj: Sale, form: Any, change: bool) -> None:
        """Write what was changed and nothing else: the sale changes its own state meanwhile."""
        if change:
            lock_pausing()
        if change and "stock_in" in form.changed_data:
            sales.leave_redis(obj)
        if change and "paused_consumers" in form.changed_data:
            follow_list(obj)
        obj.save(update_fields=form.changed_data if change else None)

    def delete_model(self, _request: HttpRequest, obj: Sale) -> None:
        """Delete a sale, with all of its stock written down."""
        sales.leave_redis(obj)
        obj.delete()

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Take the form; say so if the sale was opened while it was taken."""
        return self._unless_opened(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Delete the sale; say so if it was opened meanwhile."""
        return self._unless_opened(request, super().delete_view, *args, **kwargs)

    def _unless_opened(self, request: HttpRequest, view: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return the view's page. If it has raised, nothing was written."""
        try:
            return view(request, *args, **kwargs)
        except SaleOpened as error:
            messages.error(request, explain_refusal(error))
            return redirect(reverse("admin:awards_sale_changelist", current_app=self.admin_site.name))

    def has_delete_permission(self, request: HttpRequest, obj: Sale | None = None) -> bool:
        """Let a sale go that nobody can draw from."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or obj.state in (SaleState.NEW, SaleState.CLOSED)

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_mark(self, sale: Sale) -> SafeString:
        """Show the state as mark, word and colour."""
        return state_mark(sale)

    @admin.display(description=gettext_lazy("how it goes"))
    def watched(self, sale: Sale) -> SafeString:
        """Lead to the page on which it is watched."""
        address = reverse("admin:awards_sale_watch", args=[sale.pk])
        return format_html('<a href="{}">{}</a>', address, _("Watch, open or close"))

    def get_urls(self) -> list[URLPattern]:
        """Add the page on which a sale is watched."""
        view = self.admin_site.admin_view(self.watch_view)
        return [path("<int:pk>/watch/", view, name="awards_sale_watch"), *super().get_urls()]

    def watch_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show how the sale goes, and open or close it."""
        sale = Sale.objects.with_clock().select_related("campaign").filter(pk=pk).first()
        if not self.has_view_permission(request, sale):
            raise PermissionDenied
        if sale is None:
            raise Http404
        may_run = request.user.has_perm("awards.run_sale")
        if request.method == "POST":
            if not may_run:
                raise PermissionDenied
            self._press(request, sale)
            return redirect(reverse("admin:awards_sale_watch", args=[sale.pk]))
        is_over = sale.clock >= sale.campaign.ends_at
        return act_page(
            self,
            request,
            "admin/awards/sale/watch.html",
            title=_("The sale of %(name)s") % {"name": sale.campaign.name},
            trail=[(reverse("admin:awards_sale_change", args=[sale.pk]), str(sale.campaign))],
            context={
                "sale": sale,
                "state": state_mark(sale),
                "phase": phase_mark(sale.phase),
                "closed_by": closed_by(sale),
                "from_redis": sale.stock_in == StockIn.REDIS,
                "seen": watch(sale),
                "every": SEEN_EVERY,
                "may_run": may_run,
                "is_over": is_over,
                "can_open": not sale.is_on and may_run and not is_over,
                "can_close": sale.state != SaleState.CLOSED and may_run,
                "can_warm": sale.state == SaleState.OPEN and sale.stock_in == StockIn.REDIS and may_run and not is_over,
            },
        )

    def _press(self, request: HttpRequest, sale: Sale) -> None:
        act = request.POST.get("act", "")
        answer = press(sale, act, seen=request.POST.get("seen", ""))
        if answer.changed:
            self.log_change(request, sale, act)
            messages.success(request, answer.said)
        else:
            messages.warning(request, answer.said)
