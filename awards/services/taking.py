"""Taking a prize for a draw: what can be won now, luck, and a piece of it, held against its limits and the budget."""

import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import router, transaction
from django.utils import timezone

from awards import rules
from awards.errors import DrawRefused, NothingNow, SoldOut
from awards.luck import Luck
from awards.models import Award, Campaign, Kind, Prize
from awards.rules import Moment


@dataclass(frozen=True, slots=True)
class TakenPiece:
    """A piece that Redis has handed out: its number, and the public id that its award will have."""

    number: int
    award_id: uuid.UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a draw came to: the prize of which a piece was taken, or nothing, and the proof of it."""

    prize: Prize | None
    budgeted: bool
    """Whether its value counts against the budget."""
    proof: dict[str, Any]
    piece: TakenPiece | None = None
    """The piece, if Redis has handed it out; then the prize's row is written later."""


class _OverBudget(Exception):
    """The budget has less left than the prize is worth."""


def take_a_prize(campaign: Campaign, person: str, luck: Luck) -> Taken:
    """Return what luck gave ``person``, with a piece taken; call it in the draw's transaction.

    The campaign must have been read ``with_clock``, and the person's other draws must wait. With nothing to win, the
    campaign's fallback prize is given; without one it raises ``SoldOut`` or ``NothingNow``.
    """
    prizes = prizes_of(campaign)
    winnable = winnable_by(person, campaign, prizes)
    outcome = rules.draw(winnable, campaign.losing_weight, luck, lambda prize: _take(campaign, prize))
    if not outcome.is_empty:
        budgeted = outcome.prize is not None and _has_budget(campaign, outcome.prize)
        return Taken(prize=outcome.prize, budgeted=budgeted, proof=rules.proof_of(outcome))
    fallback = fallback_of(prizes)
    if fallback is None:
        raise nothing_left(campaign)
    counted = _spend(campaign, fallback, always=True)
    return Taken(prize=fallback, budgeted=counted, proof=rules.proof_of(outcome, fallback=fallback.pk))


def prizes_of(campaign: Campaign) -> list[Prize]:
    """Return the prizes as they stand now, in the order in which they are drawn and locked."""
    return list(Prize.objects.filter(campaign=campaign).order_by("pk"))


def winnable_by(person: str, campaign: Campaign, prizes: Sequence[Prize]) -> list[Prize]:
    """Keep the prizes that ``person`` can win now."""
    wins = wins_of([person], prizes)
    return [prize for prize in prizes if rules.can_be_won(prize, moment_of(campaign, prize, wins[person, prize.pk]))]


def fallback_of(prizes: Sequence[Prize]) -> Prize | None:
    """Return the prize that is given when nothing else is left, if there is one."""
    return next((prize for prize in prizes if prize.is_fallback), None)


def today_of(campaign: Campaign) -> date:
    """Return the day, in the site's time zone, on which the campaign was read ``with_clock``."""
    return timezone.localdate(campaign.clock, timezone.get_default_timezone())


def give_budget_back(award: Award) -> None:
    """Count the value of an award that is taken back as not spent, if it was counted."""
    if award.budgeted:
        Campaign.objects.give_back(award.prize.campaign_id, award.value, in_points=award.kind == Kind.POINTS)


def spend_budget_again(award: Award) -> None:
    """Count the value of an award that is taken back no longer as spent, even beyond the budget, if it was counted."""
    if award.budgeted:
        campaign = award.prize.campaign
        Campaign.objects.spend(campaign, award.value, in_points=award.kind == Kind.POINTS, always=True)


def nothing_left(campaign: Campaign) -> DrawRefused:
    """Return why there is nothing to win; it is looked at again, as others may have taken the last pieces."""
    if Prize.objects.drawable().filter(campaign=campaign).exists():
        return NothingNow("nothing of this campaign can be won at this moment")
    return SoldOut("every prize of this campaign has been won")


def wins_of(people: Collection[str], prizes: Sequence[Prize]) -> "Counter[tuple[str, int]]":
    """Return by person and prize how often each of the people has won what is limited per person."""
    limited = [prize.pk for prize in prizes if prize.wins_per_person is not None]
    if not limited:
        return Counter()
    won = Award.objects.kept().filter(person__in=people, prize__in=limited)
    return Counter(won.values_list("person", "prize_id"))


def moment_of(campaign: Campaign, prize: Prize, won_by_person: int) -> Moment:
    """Return how things stand for a prize when the campaign was read."""
    return Moment(
        at=campaign.clock,
        won_today=prize.wins_on(today_of(campaign)),
        won_by_person=won_by_person,
        left=campaign.budget_left(in_points=prize.kind == Kind.POINTS),
    )


def _take(campaign: Campaign, prize: Prize) -> bool:
    """Take a piece and count its value, or neither. The prize is locked first, then the campaign, as everywhere."""
    if not _has_budget(campaign, prize):
        return Prize.objects.take(prize, today_of(campaign))
    try:
        with transaction.atomic(using=router.db_for_write(Prize)):
            if not Prize.objects.take(prize, today_of(campaign)):
                return False
            if not _spend(campaign, prize, always=False):
                raise _OverBudget
    except _OverBudget:
        return False
    return True


def _has_budget(campaign: Campaign, prize: Prize) -> bool:
    return campaign.has_budget(in_points=prize.kind == Kind.POINTS)


def _spend(campaign: Campaign, prize: Prize, *, always: bool) -> bool:
    return Campaign.objects.spend(campaign, prize.value, in_points=prize.kind == Kind.POINTS, always=always)
