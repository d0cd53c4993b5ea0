"""What can be read: campaigns, draws and awards for those who ask, and the ledger as a whole for those who check."""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from awards.models import (
    Award,
    AwardStatus,
    Campaign,
    Coupon,
    Draw,
    Kind,
    PointsAccount,
    PointsEntry,
    Prize,
    VendorOrder,
)
from outbox import Message


def running_campaigns() -> QuerySet[Campaign]:
    """Return the campaigns in which one can draw now; the one that ends first comes first."""
    return Campaign.objects.running()


def campaign_at(slug: str) -> Campaign | None:
    """Return the campaign at that address, running or not, with the database's time; or None."""
    return Campaign.objects.with_clock().filter(slug=slug).first()


def prizes_of(campaign: Campaign) -> QuerySet[Prize]:
    """Return what can be won in the campaign, sold out or not, the rarest first."""
    return Prize.objects.filter(campaign=campaign, weight__gt=0).order_by("weight", "id")


def draw_with(public_id: uuid.UUID) -> Draw | None:
    """Return the draw with its campaign, its award and prize, or None."""
    return Draw.objects.with_award().filter(public_id=public_id).first()


def award_with(public_id: uuid.UUID) -> Award | None:
    """Return the award with its prize and what issuing it left behind, or None."""
    return _whole_awards().filter(public_id=public_id).first()


def awards_by_key(keys: Iterable[str]) -> dict[str, Award]:
    """Return the awards that messages with these keys are about, by key, with all that a person wants to see."""
    pks = [int(key) for key in keys if key.isdecimal()]
    return {str(award.pk): award for award in _whole_awards().filter(pk__in=pks)}


def draws_with(public_ids: Iterable[uuid.UUID], campaign: Campaign) -> list[Draw]:
    """Return those of the draws that were made in ``campaign``, with their awards and prizes, the latest first."""
    mine = Draw.objects.with_award().filter(public_id__in=list(public_ids), campaign=campaign)
    return list(mine.order_by("-id"))


def promises_of(award: Award) -> QuerySet[Message]:
    """Return the messages that must follow from ``award``, one for each consumer, without what they carry."""
    messages = Message.objects.filter(key=str(award.pk), topic=f"award.won.{award.kind}")
    return messages.defer("payload", "headers").order_by("consumer")


def _whole_awards() -> QuerySet[Award]:
    return Award.objects.select_related("prize", "pointsentry", "vendororder", "coupon")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSummary:
    """What was promised in one kind of award, held against what really reached people."""

    won: int
    """Awards ever won, whatever has become of them."""
    issued: int
    """Awards that say they are issued."""
    delivered: int
    """Awards with an effect: an entry in the points' ledger, an order that the vendor has shipped, or a code."""
    doubled: int
    """Effects beyond the first of an award, accounts whose balance is not the sum of their entries, and codes of
    another prize than the award's."""
    missing: int
    """Awards that say they are issued, and have no effect."""
    unrecorded: int
    """Awards with an effect, which do not say that they are issued."""


def ledger_summary(shipped: Iterable[str] | None = None) -> dict[str, KindSummary]:
    """Return a summary for each kind, counted from awards, ledger and orders alone.

    ``shipped`` is the vendor's own book: the award (its public id) of every order really shipped, once per order. It
    is believed before our own records of orders, which are used only if it is not given.
    """
    effects = _effects(shipped)
    totals = {row["kind"]: row for row in Award.objects.values("kind").annotate(won=Count("pk"))}
    issued: dict[str, set[uuid.UUID]] = {kind: set() for kind in Kind.values}
    for kind, public_id in Award.objects.filter(status=AwardStatus.ISSUED).values_list("kind", "public_id"):
        issued[kind].add(public_id)
    crooked = {Kind.POINTS.value: _crooked_accounts(), Kind.COUPON.value: _crooked_coupons()}
    return {
        kind: KindSummary(
            won=totals[kind]["won"] if kind in totals else 0,
            issued=len(issued[kind]),
            delivered=len(effects[kind]),
            doubled=sum(effects[kind].values()) - len(effects[kind]) + crooked.get(kind, 0),
            missing=len(issued[kind] - effects[kind].keys()),
            unrecorded=len(effects[kind].keys() - issued[kind]),
        )
        for kind in Kind.values
    }


def undelivered_awards(shipped: Iterable[str] | None = None) -> set[int]:
    """Return the keys of the awards that are still owed: neither taken back, nor with any effect."""
    effects = _effects(shipped)
    owed = Award.objects.filter(status__in=[AwardStatus.WON, AwardStatus.ISSUED])
    return {pk for pk, kind, public_id in owed.values_list("pk", "kind", "public_id") if public_id not in effects[kind]}


def _effects(shipped: Iterable[str] | None) -> dict[str, Counter[uuid.UUID]]:
    """Return for each kind how many effects each award has had."""
    if shipped is None:
        orders = Counter(VendorOrder.objects.values_list("award__public_id", flat=True))
    else:
        orders = Counter(uuid.UUID(award) for award in shipped)
    entries = Counter(PointsEntry.objects.values_list("award__public_id", flat=True))
    codes = Counter(Coupon.objects.filter(award__isnull=False).values_list("award__public_id", flat=True))
    return {Kind.POINTS.value: entries, Kind.GIFT.value: orders, Kind.COUPON.value: codes}


def _crooked_accounts() -> int:
    summed = PointsAccount.objects.annotate(booked=Coalesce(Sum("pointsentry__points"), 0))
    return summed.filter(~Q(balance=F("booked"))).count()


def _crooked_coupons() -> int:
    return Coupon.objects.filter(award__isnull=False).exclude(prize=F("award__prize")).count()
