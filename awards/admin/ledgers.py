"""The ledgers: draws, awards, points and orders, to be read and searched. What happened is not edited."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import Script
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from awards.admin.act_pages import act_page
from awards.admin.error_texts import explain_refusal
from awards.admin.exact_search import ExactSearch, NewestPaginator
from awards.admin.histories import HistoryInWords
from awards.admin.proofs import explain_proof
from awards.admin.revoke_form import RevokeForm
from awards.errors import AwardChanged, IssuedByHand, PointsSpent
from awards.models import Award, AwardStatus, Claim, Draw, Kind, PointsAccount, PointsEntry, VendorOrder
from awards.selectors import awards as selectors
from awards.services.revoking import Revoked, revoke

AWARDS_SHOWN = 20
"""Awards that are named before they are revoked; more are counted."""
REVOCABLE = {
    Kind.POINTS: (AwardStatus.WON, AwardStatus.ISSUED),
    Kind.GIFT: (AwardStatus.WON,),
    Kind.COUPON: (AwardStatus.WON,),
}
"""In which states an award of each kind can be revoked."""
AWARD_OUTCOMES = ("claim", "pointsentry__counter_entry", "vendororder", "coupon")
"""What claiming and issuing leave behind."""


class LedgerAdmin(ExactSearch, HistoryInWords):
    """A ledger that is read and searched by exact keys, at any size."""

    show_full_result_count = False
    paginator = NewestPaginator
    change_list_template = "admin/awards/ledger_list.html"
    ordering = ("-pk",)
    list_per_page = 50

    class Media:
        css = {"all": ["awards/admin.css"]}
        js = [Script("awards/lists.js", defer=True)]

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Nobody adds a row by hand."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """Nobody changes a row by hand."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """Nobody takes a row away."""
        return False


@admin.register(Award)
class AwardAdmin(LedgerAdmin):
    """What was won and how far it has come. An award that was not issued yet can be revoked."""

    list_display = ("public_id", "person", "prize", "value", "status", "won_at", "issued_at")
    list_select_related = ("prize",)
    search_fields = ("public_id", "person")
    person_column, id_column = "person", "public_id"
    search_help_text = _("Award id or person, in full")
    actions = ("revoke",)

    fields = ("kind", "value", "vendor_sku", "status", "version", "claim_until", "claimed_at")

    def get_fields(self, _request: HttpRequest, obj: Award | None = None) -> tuple[str, ...]:
        """Leave out until when it is to be claimed where it no longer is."""
        hidden = () if obj is None or obj.is_unclaimed else ("claim_until",)
        return tuple(name for name in self.fields if name not in hidden)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Award]:
        """Read with an award what its page shows of it; the list leaves it alone."""
        awards = super().get_queryset(request)
        shown = request.resolver_match is not None and "object_id" in request.resolver_match.kwargs
        return awards.select_related("draw__campaign", "prize", *AWARD_OUTCOMES) if shown else awards

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the whole chain: the draw, the award, its messages, and what came of them."""
        award = context["original"]
        context |= {
            "award_messages": selectors.messages_of(award),
            "may_revoke": _is_revocable(award) and self.has_revoke_permission(request),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=_("Revoke awards, or take their points back"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Award]) -> HttpResponse | None:
        """Ask why, then revoke what was chosen, and say how many could not be."""
        form = RevokeForm(request.POST if "apply" in request.POST else None)
        keys = list(chosen.values_list("pk", flat=True))
        from_page = "from_page" in request.POST and len(keys) == 1
        if not form.is_valid():
            return act_page(
                self,
                request,
                "admin/awards/award/revoke.html",
                title=gettext("Revoke awards"),
                context={
                    "form": form,
                    "chosen": chosen.select_related("prize")[:AWARDS_SHOWN],
                    "keys": keys,
                    "all": len(keys),
                    "from_page": from_page,
                    "back": self._page_of(keys[0]) if from_page else reverse("admin:awards_award_changelist"),
                },
            )
        self._revoke(request, chosen, form)
        return redirect(self._page_of(keys[0])) if from_page else None

    def _page_of(self, key: int) -> str:
        return reverse("admin:awards_award_change", args=[key], current_app=self.admin_site.name)

    def _revoke(self, request: HttpRequest, chosen: QuerySet[Award], form: RevokeForm) -> None:
        late = 0
        done: list[Revoked] = []
        for award in chosen.select_related("prize__campaign"):
            try:
                done.append(revoke(award, actor=request.user.get_username(), **form.how))
            except (IssuedByHand, PointsSpent) as error:
                said = gettext("Award %(id)s stays: %(why)s") % {"id": award.public_id, "why": explain_refusal(error)}
                self.message_user(request, said, messages.ERROR)
            except AwardChanged:
                late += 1
            else:
                self.log_change(request, award, "revoked")
        self._tell_what_was_revoked(request, done, late)

    def _tell_what_was_revoked(self, request: HttpRequest, done: list[Revoked], late: int) -> None:
        if done:
            said = ngettext("%(count)d award was revoked.", "%(count)d awards were revoked.", len(done))
            self.message_user(request, said % {"count": len(done)}, messages.SUCCESS)
        if points := sum(each.points for each in done):
            said = ngettext("%(count)d point was taken back.", "%(count)d points were taken back.", points)
            self.message_user(request, said % {"count": points}, messages.SUCCESS)
        if restocked := sum(each.restocked for each in done):
            said = ngettext("%(count)d piece can be won again.", "%(count)d pieces can be won again.", restocked)
            self.message_user(request, said % {"count": restocked}, messages.SUCCESS)
        if risky := sum(each.may_be_issued for each in done):
            said = ngettext(
                "For %(count)d of them the issuing had begun: look at its message whether the other side has acted.",
                "For %(count)d of them the issuing had begun: look at their messages whether the other side has acted.",
                risky,
            )
            self.message_user(request, said % {"count": risky}, messages.WARNING)
        if late:
            said = ngettext(
                "%(count)d award had been settled before and stays as it is.",
                "%(count)d awards had been settled before and stay as they are.",
                late,
            )
            self.message_user(request, said % {"count": late}, messages.WARNING)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Tell who may revoke."""
        return request.user.has_perm("awards.revoke_award")


def _is_revocable(award: Award) -> bool:
    """Tell whether it can be revoked, which one that was issued by hand cannot."""
    return award.status in REVOCABLE[Kind(award.kind)] and not award.closed_from


@admin.register(Draw)
class DrawAdmin(LedgerAdmin):
    """Who drew, and by which request."""

    list_display = ("public_id", "campaign", "person", "request_id", "drawn_at")
    list_select_related = ("campaign",)
    search_fields = ("public_id", "person")
    person_column, id_column = "person", "public_id"
    search_help_text = _("Draw id or person, in full")
    fields = ("campaign", "request_id", "person", "drawn_at", "how")
    readonly_fields = fields

    @admin.display(description=_("how it was drawn"))
    def how(self, drawn: Draw) -> SafeString | str:
        """Show the proof: each round's number and what it means, and whether it still comes to the same."""
        return explain_proof(drawn)


@admin.register(Claim)
class ClaimAdmin(LedgerAdmin):
    """Where gifts go, masked: whoever sends them has the address in full, and nobody else needs it."""

    list_display = ("award", "masked_address", "given_at")
    list_select_related = ("award",)
    search_fields = ("award",)
    id_column = "award"
    search_help_text = _("Award id, in full")
    fields = ("award", "masked_address", "given_at")
    readonly_fields = fields

    @admin.display(description=_("where it goes"))
    def masked_address(self, claim: Claim) -> str:
        """Show the first letter of the name, the town and the country."""
        return claim.masked


class EntryInline(admin.TabularInline):  # type: ignore[type-arg]  # generic for the type checker only
    """The latest entries, on their account's page."""

    model = PointsEntry
    fields = ("award", "takes_back", "points", "booked_at")
    readonly_fields = fields
    extra = 0
    can_delete = False
    show_change_link = True
    ordering = ("-pk",)

    def has_add_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """Nobody adds an entry by hand."""
        return False


@admin.register(PointsAccount)
class PointsAccountAdmin(LedgerAdmin):
    """How many points somebody has, and by which entries."""

    list_display = ("person", "balance", "opened_at")
    ordering = ("person",)
    search_fields = ("person",)
    person_column = "person"
    search_help_text = _("Person, in full")
    inlines = (EntryInline,)


@admin.register(PointsEntry)
class PointsEntryAdmin(LedgerAdmin):
    """The points' ledger."""

    list_display = ("number", "account", "points", "award", "booked_at")
    list_select_related = ("account", "award")
    search_fields = ("account", "award")
    person_column, id_column = "account", "award"
    search_help_text = _("Person or award id, in full")

    @admin.display(description="ID", ordering="pk")
    def number(self, entry: PointsEntry) -> str:
        """Write the id as an id: no locale puts a comma in."""
        return str(entry.pk)


@admin.register(VendorOrder)
class VendorOrderAdmin(LedgerAdmin):
    """What was ordered from the vendor."""

    list_display = ("number", "sku", "award", "recorded_at")
    list_select_related = ("award",)
    search_fields = ("number", "idempotency_key", "award")
    text_columns, id_column = ("number", "idempotency_key"), "award"
    search_help_text = _("Order number, idempotency key or award id, in full")
