"""The report a campaign is managed by: chances and expected values, which are pure, and what has become of the awards.

Nothing is counted from the awards themselves, of which there may be millions: what was won comes from the daily
statistics, what is under way or stuck from the messages of the consumers that issue, which the table keeps indexed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from typing import Any, NamedTuple

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum

from awards.listeners import CLAIMABLE_COUNTED_BY, COUNTED_BY, EXPIRED_BY, ISSUED_BY
from awards.models import Award, AwardStatus, Campaign, Coupon, DailyStatistic, Kind, Prize, Refusal
from outbox import Message

COUNT_LIMIT = 10_000
"""Messages under way, and messages stuck, that are looked at; with more than these, the report says so."""


REFUSALS_SHOWN = 20


def chances(prizes: Sequence[Prize], losing_weight: int) -> dict[int, Fraction]:
    """Return how likely the next draw wins each prize, by its key; what is sold out or weighs nothing has none.

    With nothing left to win, nobody can draw, and every chance is 0.
    """
    weights = {prize.pk: prize.weight if prize.stock != 0 else 0 for prize in prizes}
    total = sum(weights.values())
    return {pk: Fraction(weight, total + losing_weight) if total else Fraction(0) for pk, weight in weights.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrizeLine:
    """One prize as its manager sees it."""

    prize: Prize
    chance: Fraction
    won: int = 0
    uncounted: int = 0
    """How many of those won are not in the figures of the days yet."""
    waiting: int = 0
    failed: int = 0
    revoked: int = 0
    free_codes: int = 0
    issued_codes: int = 0

    @property
    def percent(self) -> Decimal:
        """The chance in percent."""
        return _times(self.chance, Decimal(100))

    @property
    def expected(self) -> Decimal:
        """What the next draw gives away of this prize on average."""
        return _times(self.chance, self.prize.value)

    @property
    def issued(self) -> int:
        """Awards issued, or settled by hand. What is under way changes meanwhile, so this never goes below 0."""
        return max(self.won - self.waiting - self.failed - self.revoked, 0)

    @property
    def at_stake(self) -> Decimal | None:
        """What is left in stock, in points or in money; None without limit."""
        return None if self.prize.stock is None else self.prize.stock * self.prize.value

    @property
    def codes_missing(self) -> int:
        """How many codes the pool lacks for what is in stock and what waits; one at least without limit."""
        if self.prize.kind != Kind.COUPON:
            return 0
        needed = (1 if self.prize.stock is None else self.prize.stock) + self.waiting + self.failed
        return max(needed - self.free_codes, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """A value in points and in money, which do not add up. ``endless`` if there is more, without limit."""

    points: Decimal
    money: Decimal
    endless: bool = False

    @property
    def whole_points(self) -> int:
        """The points as grammar counts them: 1 is one point, 1.5 are points."""
        return math.ceil(self.points)


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """A campaign's prizes, and whether every message was looked at."""

    lines: Sequence[PrizeLine]
    complete: bool

    @property
    def uncounted(self) -> int:
        """How many wins are not in the figures of the days yet."""
        return sum(line.uncounted for line in self.lines)

    @property
    def losing_percent(self) -> Decimal:
        """How likely the next draw wins nothing, in percent; 0 too if nobody can draw."""
        winning = sum((line.chance for line in self.lines), Fraction(0))
        return _times(1 - winning if winning else Fraction(0), Decimal(100))

    @property
    def drawable(self) -> bool:
        """Whether anything can be won."""
        return any(line.chance for line in self.lines)

    @property
    def expected(self) -> Worth:
        """What the next draw gives away on average."""
        return _worth((line.prize.kind, line.expected) for line in self.lines)

    @property
    def at_stake(self) -> Worth:
        """What is left in all stocks."""
        limited = _worth((line.prize.kind, line.at_stake) for line in self.lines if line.at_stake is not None)
        endless = any(line.at_stake is None for line in self.lines)
        return Worth(points=limited.points, money=limited.money, endless=endless)


def report_campaign(campaign: Campaign, prizes: Iterable[Prize] | None = None) -> CampaignReport:
    """Return how the prizes of ``campaign`` stand, or those of them given. A fixed number of queries."""
    everything = _with_counts(Prize.objects.filter(campaign=campaign).order_by("-weight", "id"))
    odds = chances(everything, campaign.losing_weight)
    chosen = {prize.pk: prize for prize in (everything if prizes is None else prizes)}
    waiting, all_waiting = _awards_of(_issuing_messages().filter(finished_at__isnull=True))
    failed, all_failed = _awards_of(_issuing_messages().filter(exhausted_at__isnull=False))
    uncounted, all_uncounted = _uncounted()
    owed = _owed_by_prize(waiting, failed, uncounted)
    lines = [
        PrizeLine(
            prize=chosen[prize.pk],
            chance=odds.get(prize.pk, Fraction(0)),
            won=(prize.won or 0) + owed.get(prize.pk, NOTHING).uncounted,
            uncounted=owed.get(prize.pk, NOTHING).uncounted,
            revoked=prize.revoked or 0,
            waiting=owed.get(prize.pk, NOTHING).waiting,
            failed=owed.get(prize.pk, NOTHING).failed,
            free_codes=prize.free_codes or 0,
            issued_codes=(prize.codes or 0) - (prize.free_codes or 0),
        )
        for prize in everything
        if prize.pk in chosen
    ]
    return CampaignReport(lines, complete=all_waiting and all_failed and all_uncounted)


def with_totals(campaigns: QuerySet[Campaign]) -> QuerySet[Campaign]:
    """Read with each campaign how many awards were ``won``, and the ``money`` that is left in limited stocks."""
    won = DailyStatistic.objects.filter(prize__campaign=OuterRef("pk")).order_by().values("prize__campaign")
    stocks = Prize.objects.filter(campaign=OuterRef("pk"), stock__isnull=False).exclude(kind=Kind.POINTS).order_by()
    return campaigns.annotate(
        won=Subquery(won.annotate(total=Sum("won")).values("total")),
        money=Subquery(stocks.values("campaign").annotate(total=Sum(F("stock") * F("value"))).values("total")),
    )


def last_days(prize: Prize, number: int) -> QuerySet[DailyStatistic]:
    """Return the last days on which ``prize`` was won, the latest first."""
    return DailyStatistic.objects.filter(prize=prize).order_by("-day")[:number]


def _issuing_messages() -> QuerySet[Message]:
    return Message.objects.filter(consumer__in=[*ISSUED_BY.values(), EXPIRED_BY])


def _awards_of(messages: QuerySet[Message]) -> tuple[list[int], bool]:
    """Return the awards that these messages are about, and tell whether those are all."""
    keys = list(messages.values_list("key", flat=True)[: COUNT_LIMIT + 1])
    return [int(key) for key in keys[:COUNT_LIMIT] if key.isdecimal()], len(keys) <= COUNT_LIMIT


def _uncounted() -> tuple[dict[str, list[int]], bool]:
    """Return the awards by whose messages a win is still counted, by consumer, and tell whether those are all."""
    counting = Message.objects.filter(consumer__in=[COUNTED_BY, CLAIMABLE_COUNTED_BY], finished_at__isnull=True)
    rows = list(counting.values_list("consumer", "key")[: COUNT_LIMIT + 1])
    awards: dict[str, list[int]] = {COUNTED_BY: [], CLAIMABLE_COUNTED_BY: []}
    for name, key in rows[:COUNT_LIMIT]:
        if key.isdecimal():
            awards[name].append(int(key))
    return awards, len(rows) <= COUNT_LIMIT


class _Owed(NamedTuple):
    """What is still to be done with the awards of a prize, in awards."""

    waiting: int
    failed: int
    uncounted: int


NOTHING = _Owed(0, 0, 0)


def _owed_by_prize(
    waiting: Sequence[int], failed: Sequence[int], uncounted: Mapping[str, Sequence[int]]
) -> dict[int, _Owed]:
    """Count, by prize, those of the awards that are still to be issued, and those that are still to be counted.

    What must be claimed is counted when it is won, and not again when it is claimed.
    """
    at_once = Q(pk__in=uncounted[COUNTED_BY], claim_until__isnull=True)
    late = at_once | Q(pk__in=uncounted[CLAIMABLE_COUNTED_BY])
    found = Award.objects.filter(pk__in={*waiting, *failed, *chain(*uncounted.values())}).order_by()
    won = Q(status=AwardStatus.WON)
    counts = {
        "waits": Count("pk", filter=won & Q(pk__in=waiting)),
        "stuck": Count("pk", filter=won & Q(pk__in=failed)),
        "late": Count("pk", filter=late),
    }
    return {prize: _Owed(*numbers) for prize, *numbers in found.values_list("prize_id").annotate(**counts)}


def _with_counts(prizes: QuerySet[Prize]) -> list[Any]:
    """Read with each prize how often it was ``won`` and ``revoked``, and its ``codes`` with those that are free."""
    days = DailyStatistic.objects.filter(prize=OuterRef("pk")).order_by().values("prize")
    pool = Coupon.objects.filter(prize=OuterRef("pk")).order_by().values("prize")
    free = pool.filter(award__isnull=True)
    return list(
        prizes.annotate(
            **{name: Subquery(days.annotate(total=Sum(name)).values("total")) for name in ("won", "revoked")},
            codes=Subquery(pool.annotate(total=Count("pk")).values("total")),
            free_codes=Subquery(free.annotate(total=Count("pk")).values("total")),
        )
    )


def refusals_of(campaign: Campaign) -> list[Refusal]:
    """Return how often draws of the campaign were refused, the latest days first."""
    return list(Refusal.objects.filter(campaign=campaign).order_by("-day", "-times", "code")[:REFUSALS_SHOWN])


def _times(chance: Fraction, value: Decimal) -> Decimal:
    return Decimal(chance.numerator) * value / Decimal(chance.denominator)


def _worth(values: Iterable[tuple[str, Decimal]]) -> Worth:
    sums = {True: Decimal(0), False: Decimal(0)}
    for kind, value in values:
        sums[kind == Kind.POINTS] += value
    return Worth(points=sums[True], money=sums[False])
