"""What somebody who manages campaigns can do: change a stock, keep the pools of codes, and copy a campaign."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any, NamedTuple

from django.db import IntegrityError, router, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from awards.errors import (
    CodesKnown,
    FallbackHasNoStock,
    ManagingError,
    StockChangedAlready,
    StockHasALimit,
    StockHasNoLimit,
    StockTooLarge,
    StockTooSmall,
    TooManyForRedis,
)
from awards.models import Campaign, Coupon, Draw, Entitlement, Prize, StockAct, StockChange, StockIn
from awards.models.campaign import MOST_IN_REDIS
from awards.models.coupon import CouponQuerySet
from awards.services.sales import hold_still, say_changed

CODE_BATCH = 1_000
SLUG_LENGTH = 60
CAMPAIGN_NAME_LENGTH = 120
ONCE_MORE = timedelta(minutes=10)
"""How long the same change of a stock by the same person is taken for one that was sent twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockChangeRequest:
    """A change of stock that is asked for: ``pieces`` with every act but ``UNLIMIT``, and an id of the request."""

    act: StockAct
    pieces: int | None
    reason: str
    request_id: uuid.UUID


def refuse_once_more(prize: Prize, request: StockChangeRequest, *, actor: str) -> None:
    """Raise ``StockChangedAlready`` if ``actor`` has asked for the same to the word a moment ago, by another request.

    Such is a form that was gone back to and sent once more.
    """
    asked = {"act": request.act, "pieces": request.pieces, "reason": request.reason}
    same = StockChange.objects.filter(**asked, prize=prize, actor=actor, at__gt=Now() - ONCE_MORE)
    if earlier := same.exclude(request_id=request.request_id).order_by("pk").last():
        raise StockChangedAlready(earlier.at)


def change_stock(prize: Prize, request: StockChangeRequest, *, actor: str) -> StockChange:
    """Change the stock of ``prize`` by an act that takes nothing back of what is drawn meanwhile, and write it down.

    The same request again changes nothing more. Raises ``StockTooSmall``, ``StockTooLarge``, ``TooManyForRedis``,
    ``StockHasNoLimit``, ``StockHasALimit`` or ``FallbackHasNoStock``.
    """
    try:
        with transaction.atomic(using=router.db_for_write(Campaign)):
            unwritten = hold_still(prize)
            if not _change_stock(prize, request, unwritten):
                raise _stock_refusal(prize, request.act, unwritten)
            _refuse_too_many_for_redis(prize, request)
            say_changed(prize.campaign_id)
            return StockChange.objects.create(
                prize=prize,
                act=request.act,
                pieces=request.pieces,
                reason=request.reason,
                actor=actor,
                request_id=request.request_id,
            )
    except (IntegrityError, ManagingError):
        # The same request again: what it asked for has been done, and may have left nothing to take.
        done = StockChange.objects.filter(request_id=request.request_id).first()
        if done is None:
            raise
        return done


def _change_stock(prize: Prize, request: StockChangeRequest, unwritten: int) -> bool:
    """Change the stock, if what is left of it once all is written down allows that."""
    pieces = request.pieces or 0
    match request.act:
        case StockAct.ADD:
            return Prize.objects.add(prize, pieces)
        case StockAct.REMOVE:
            return Prize.objects.add(prize, -pieces, beside=unwritten)
        case StockAct.LIMIT:
            return Prize.objects.limit(prize, pieces + unwritten)
        case StockAct.UNLIMIT:
            return Prize.objects.unlimit(prize)


def _refuse_too_many_for_redis(prize: Prize, request: StockChangeRequest) -> None:
    """Refuse a stock that grew beyond what Redis takes in. A single piece may be one that comes back, and is let in."""
    if request.act is StockAct.ADD and request.pieces == 1:
        return
    grew = request.act in (StockAct.ADD, StockAct.LIMIT)
    if grew and Prize.objects.filter(pk=prize.pk, stock__gt=MOST_IN_REDIS, campaign__sale__stock_in=StockIn.REDIS):
        raise TooManyForRedis(f"Redis takes in {MOST_IN_REDIS} pieces of a prize")


def _stock_refusal(prize: Prize, act: StockAct, unwritten: int) -> ManagingError:
    left, is_fallback = Prize.objects.values_list("stock", "is_fallback").get(pk=prize.pk)
    if is_fallback:
        return FallbackHasNoStock("what is given when nothing else is left has no stock that could be limited")
    if act is StockAct.LIMIT:
        return StockHasALimit("the stock has a limit already; add to it or take from it")
    if left is None:
        return StockHasNoLimit("the stock has no limit, so there is nothing to add or to take")
    if act is StockAct.REMOVE:
        return StockTooSmall(left - unwritten)
    return StockTooLarge("the stock would become larger than can be written down")


def known_codes(prize: Prize, codes: Sequence[str]) -> set[str]:
    """Return which of ``codes`` are in the prize's pool, issued or not."""
    known: set[str] = set()
    for start in range(0, len(codes), CODE_BATCH):
        batch = Coupon.objects.filter(prize=prize, code__in=codes[start : start + CODE_BATCH])
        known.update(batch.values_list("code", flat=True))
    return known


def add_codes(prize: Prize, codes: Sequence[str]) -> int:
    """Add ``codes`` to the prize's pool, all or none, and return how many.

    Raises ``CodesKnown`` if some are there already.
    """
    if known := known_codes(prize, codes):
        raise CodesKnown(known)
    try:
        with transaction.atomic(using=router.db_for_write(Campaign)):
            Coupon.objects.bulk_create((Coupon(prize=prize, code=code) for code in codes), batch_size=CODE_BATCH)
    except IntegrityError as error:
        # Somebody added one of them between our looking and our writing.
        raise CodesKnown(known_codes(prize, codes)) from error
    return len(codes)


def withdraw_codes(coupons: CouponQuerySet) -> int:
    """Delete those of ``coupons`` that nobody has, and return how many; one that is issued meanwhile stays."""
    return coupons.free().delete()[0]


def copy_campaign(campaign: Campaign) -> Campaign:
    """Copy a campaign with its prizes, weights and stocks of today. The copy is switched off and has no codes."""
    slug, number = _free_slug(campaign.slug)
    with transaction.atomic(using=router.db_for_write(Campaign)):
        twin = Campaign.objects.create(
            slug=slug,
            name=f"{campaign.name[: CAMPAIGN_NAME_LENGTH - 6]} ({number})",
            description=campaign.description,
            starts_at=campaign.starts_at,
            ends_at=campaign.ends_at,
            draws_per_person=campaign.draws_per_person,
            draws_per_day=campaign.draws_per_day,
            draws_per_address=campaign.draws_per_address,
            access=campaign.access,
            needs_entitlement=campaign.needs_entitlement,
            ignores_tags=campaign.ignores_tags,
            losing_weight=campaign.losing_weight,
            budget_money=campaign.budget_money,
            budget_points=campaign.budget_points,
            restock_revoked=campaign.restock_revoked,
            redraws_expired=campaign.redraws_expired,
            allows_debt=campaign.allows_debt,
            active=False,
        )
        Prize.objects.bulk_create(
            Prize(
                campaign=twin,
                name=prize.name,
                kind=prize.kind,
                weight=prize.weight,
                stock=prize.stock,
                returns_to_stock=prize.returns_to_stock,
                claim_days=prize.claim_days,
                starts_at=prize.starts_at,
                ends_at=prize.ends_at,
                wins_per_day=prize.wins_per_day,
                wins_per_person=prize.wins_per_person,
                is_fallback=prize.is_fallback,
                value=prize.value,
                vendor_sku=prize.vendor_sku,
            )
            for prize in Prize.objects.filter(campaign=campaign).order_by("pk")
        )
    return twin


class Traces(NamedTuple):
    """What a campaign has left in the world: whether somebody has drawn in it, and whether somebody may have a link."""

    has_draws: bool
    has_rights: bool

    @property
    def is_known(self) -> bool:
        """Whether anybody may know the address of its page."""
        return self.has_draws or self.has_rights


def with_traces(found: QuerySet[Campaign]) -> QuerySet[Campaign]:
    """Read the traces of each campaign in the same statement."""
    drawn, given = (Exists(model.objects.filter(campaign=OuterRef("pk"))) for model in (Draw, Entitlement))
    return found.annotate(has_draws=drawn, has_rights=given)


def traces_of(campaign: Campaign) -> Traces:
    """Return the traces of a campaign. One statement, unless it was read ``with_traces``."""
    read: Any = campaign
    if not hasattr(campaign, "has_draws"):
        read = with_traces(Campaign.objects.filter(pk=campaign.pk)).get()
    return Traces(read.has_draws, read.has_rights)


def _free_slug(slug: str) -> tuple[str, int]:
    """Return an address for a copy that no campaign has yet, and the number in it."""
    taken = set(Campaign.objects.filter(slug__startswith=slug[: SLUG_LENGTH - 5]).values_list("slug", flat=True))
    numbered = ((f"{slug[: SLUG_LENGTH - 1 - len(str(number))]}-{number}", number) for number in count(2))
    return next((each, number) for each, number in numbered if each not in taken)
