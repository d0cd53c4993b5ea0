"""Draws for many at once: one transaction for a chunk of the queue, one UPDATE for each prize that was won.

The rows are locked in the order of a single draw: the people, by name, then the prizes, then the campaign's budget.
So what is counted in memory meanwhile is what is true.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db.models import F

from awards import rules
from awards.changes import tell_clients
from awards.errors import DrawError, DrawRefused, NotEntitled, NothingNow, SaleClosed, SoldOut
from awards.luck import Luck
from awards.models import (
    Award,
    AwardStatus,
    Campaign,
    Draw,
    Entitlement,
    Kind,
    Participation,
    Prize,
    QueuedRefusal,
    Refusal,
)
from awards.sale.queueing import QueuedRequest
from awards.services import awarding, draws, taking
from awards.services.draws import Asked
from awards.services.taking import Taken
from outbox import publish_many


@dataclass
class _Room:
    """What is left of a campaign while a chunk is drawn: its rows, locked, and what the chunk has taken of them."""

    campaign: Campaign
    today: date
    people: dict[str, Participation]
    prizes: list[Prize]
    wins: "Counter[tuple[str, int]]"
    budgets: dict[bool, Decimal | None]
    pieces: "Counter[int]" = field(default_factory=Counter)
    spent: dict[bool, Decimal] = field(default_factory=lambda: {True: Decimal(0), False: Decimal(0)})

    def check_limits(self, person: str) -> None:
        """Raise what ``draw_ticket`` raises if the person has had all their draws."""
        mine, campaign = self.people[person], self.campaign
        draws.refuse_beyond_limits(campaign, drawn=mine.draws, today=mine.draws_on(self.today))

    def count(self, person: str) -> None:
        """Count one more draw of a person."""
        mine = self.people[person]
        mine.draws_today = mine.draws_on(self.today) + 1
        mine.day, mine.draws = max(self.today, mine.day or self.today), mine.draws + 1

    def take(self, person: str, luck: Luck) -> Taken:
        """Return what luck gave, with a piece taken; raise ``SoldOut`` or ``NothingNow`` if there was nothing."""
        winnable = [prize for prize in self.prizes if rules.can_be_won(prize, self._moment(prize, person))]
        outcome = rules.draw(winnable, self.campaign.losing_weight, luck, lambda prize: self._take(prize, person))
        if not outcome.is_empty:
            budgeted = outcome.prize is not None and self._spend(outcome.prize)
            return Taken(prize=outcome.prize, budgeted=budgeted, proof=rules.proof_of(outcome))
        fallback = taking.fallback_of(self.prizes)
        if fallback is None:
            any_left = any(prize.weight and prize.stock != 0 for prize in self.prizes)
            raise NothingNow("nothing can be won at this moment") if any_left else SoldOut("every prize has been won")
        proof = rules.proof_of(outcome, fallback=fallback.pk)
        return Taken(prize=fallback, budgeted=self._spend(fallback), proof=proof)

    def write(self) -> None:
        """Write what was taken: one UPDATE for each prize, one for the budget, one INSERT for all people."""
        for prize in self.prizes:
            if prize.pk in self.pieces:
                self._write_prize(prize, self.pieces[prize.pk])
        spent = {"points" if in_points else "money": value for in_points, value in self.spent.items() if value}
        if spent:
            changes = {f"spent_{name}": F(f"spent_{name}") + value for name, value in spent.items()}
            Campaign.objects.filter(pk=self.campaign.pk).update(**changes)
        # Without their ids, so that it is by campaign and person that each is found.
        counted = (
            Participation(
                campaign=self.campaign, person=mine.person, draws=mine.draws, day=mine.day, draws_today=mine.draws_today
            )
            for mine in self.people.values()
            if mine.draws
        )
        Participation.objects.bulk_create(
            counted,
            update_conflicts=True,
            unique_fields=["campaign", "person"],
            update_fields=["draws", "day", "draws_today"],
        )

    def _write_prize(self, prize: Prize, pieces: int) -> None:
        changes: dict[str, object] = {}
        if prize.stock is not None:
            changes["stock"] = F("stock") - pieces
        if prize.wins_per_day is not None:
            changes |= {"win_day": prize.win_day, "wins_that_day": prize.wins_that_day}
        if changes:
            Prize.objects.filter(pk=prize.pk).update(**changes)

    def _moment(self, prize: Prize, person: str) -> rules.Moment:
        return rules.Moment(
            at=self.campaign.clock,
            won_today=prize.wins_on(self.today),
            won_by_person=self.wins[person, prize.pk],
            left=self.budgets[prize.kind == Kind.POINTS],
        )

    def _take(self, prize: Prize, person: str) -> bool:
        if prize.stock is not None:
            prize.stock -= 1
        prize.wins_that_day = prize.wins_on(self.today) + 1
        prize.win_day = max(self.today, prize.win_day or self.today)
        self.pieces[prize.pk] += 1
        self.wins[person, prize.pk] += 1
        return True

    def _spend(self, prize: Prize) -> bool:
        in_points = prize.kind == Kind.POINTS
        left = self.budgets[in_points]
        if left is None:
            return False
        self.budgets[in_points] = left - prize.value
        self.spent[in_points] += prize.value
        return True


@dataclass
class _Drawn:
    """What a chunk came to, not written yet."""

    draws: list[Draw] = field(default_factory=list)
    taken: list[tuple[Draw, Taken, str]] = field(default_factory=list)
    used: list[tuple[Entitlement, Draw]] = field(default_factory=list)
    refused: list[QueuedRefusal] = field(default_factory=list)


def draw_for_all(campaign_id: int, asked: Sequence[QueuedRequest], luck: Luck) -> bool:
    """Draw for each of these requests that was not answered before, in their order, and write it all together.

    Call it in a transaction. What is refused is written down by its code, and is the answer for ever. So nothing is
    refused because the sale is closed: it may be opened again. Then return False, and have the requests wait.
    """
    waiting = _unanswered(campaign_id, asked)
    if not waiting:
        return True
    campaign = Campaign.objects.with_clock().with_sale().get(pk=campaign_id)
    drawn = _Drawn()
    refusal = draws.closed(campaign)
    if isinstance(refusal, SaleClosed):
        return False
    if refusal is not None:
        drawn.refused = [_refused(each, refusal) for each in waiting]
    elif _is_sold_out(campaign):
        drawn.refused = [_refused(each, SoldOut("every prize has been won")) for each in waiting]
    else:
        room = _lock(campaign, sorted({each.person for each in waiting}))
        for each in waiting:
            _draw(room, each, luck, drawn)
        room.write()
    _write(campaign, drawn)
    return True


def _is_sold_out(campaign: Campaign) -> bool:
    """Tell whether nobody needs to be locked, as there is nothing that anybody could win."""
    prizes = Prize.objects.filter(campaign=campaign)
    return (
        not Prize.objects.drawable().filter(campaign=campaign).exists() and not prizes.filter(is_fallback=True).exists()
    )


def _unanswered(campaign_id: int, asked: Sequence[QueuedRequest]) -> list[QueuedRequest]:
    ids = [each.request_id for each in asked]
    answered = {
        *Draw.objects.filter(campaign_id=campaign_id, request_id__in=ids).values_list("request_id", flat=True),
        *QueuedRefusal.objects.filter(campaign_id=campaign_id, request_id__in=ids).values_list("request_id", flat=True),
    }
    return [each for each in {each.request_id: each for each in asked}.values() if each.request_id not in answered]


def _lock(campaign: Campaign, people: Sequence[str]) -> _Room:
    """Lock the people and the prizes of a chunk, and return how they stand."""
    today = taking.today_of(campaign)
    rows = Participation.objects.filter(campaign=campaign, person__in=people).order_by("person")
    known = {mine.person: mine for mine in rows.select_for_update()}
    if missing := [person for person in people if person not in known]:
        Participation.objects.bulk_create(
            (Participation(campaign=campaign, person=person, day=today) for person in missing), ignore_conflicts=True
        )
        known |= {mine.person: mine for mine in rows.filter(person__in=missing).select_for_update()}
    prizes = list(Prize.objects.filter(campaign=campaign).order_by("pk").select_for_update(no_key=True))
    if campaign.has_any_budget:
        locked = Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
        campaign.spent_money, campaign.spent_points = locked.spent_money, locked.spent_points
    return _Room(
        campaign=campaign,
        today=today,
        people=known,
        prizes=prizes,
        wins=taking.wins_of(people, prizes),
        budgets={in_points: campaign.budget_left(in_points=in_points) for in_points in (True, False)},
    )


def _draw(room: _Room, each: QueuedRequest, luck: Luck, drawn: _Drawn) -> None:
    """Draw for one of them, or note why not; what was taken stays in memory."""
    asked = Asked(person=each.person, request_id=each.request_id, entitlement=None)
    try:
        room.check_limits(each.person)
        used = _use_entitlement(room.campaign, each, asked)
        try:
            taken = room.take(each.person, luck)
        except DrawRefused:
            if used is not None:
                Entitlement.objects.filter(pk=used.pk).update(used_at=None)
            raise
    except DrawError as refusal:
        drawn.refused.append(_refused(each, refusal))
        return
    room.count(each.person)
    draw = Draw(
        campaign=room.campaign,
        request_id=each.request_id,
        person=each.person,
        digest=digest_of(each),
        proof=taken.proof,
    )
    drawn.draws.append(draw)
    drawn.taken.append((draw, taken, each.language))
    if used is not None:
        drawn.used.append((used, draw))


def _use_entitlement(campaign: Campaign, each: QueuedRequest, asked: Asked) -> Entitlement | None:
    if each.entitlement is None and not campaign.needs_entitlement:
        return None
    return draws.use_entitlement(campaign, named(each, asked))


def named(each: QueuedRequest, asked: Asked) -> Asked:
    """Return what was asked with the entitlement that was named."""
    if each.entitlement is None:
        return asked
    found = Entitlement.objects.filter(campaign_id=each.campaign_id, public_id=each.entitlement).first()
    if found is None:
        raise NotEntitled("the entitlement that was named is gone")
    return Asked(person=asked.person, request_id=asked.request_id, entitlement=found)


def digest_of(each: QueuedRequest) -> str:
    """Return the fingerprint of a request, which is the same as that of a draw that did not wait."""
    return draws.digest_of(each.person, each.entitlement)


def _refused(each: QueuedRequest, refusal: DrawError) -> QueuedRefusal:
    return QueuedRefusal(
        campaign_id=each.campaign_id,
        request_id=each.request_id,
        person=each.person,
        digest=digest_of(each),
        code=refusal.code,
    )


def _write(campaign: Campaign, drawn: _Drawn) -> None:
    Draw.objects.bulk_create(drawn.draws)
    awards = []
    languages = []
    for draw, taken, language in drawn.taken:
        if taken.prize is not None:
            awards.append(awarding.award_of(draw, taken.prize, budgeted=taken.budgeted, now=campaign.clock))
            languages.append(language)
    Award.objects.bulk_create(awards)
    for award in awards:
        tell_clients(award, AwardStatus.WON, is_new=True)
    publish_many(
        draft
        for award, language in zip(awards, languages, strict=True)
        for draft in awarding.drafts_of(award, award.prize, language)
    )
    for entitlement, draw in drawn.used:
        Entitlement.objects.filter(pk=entitlement.pk).update(draw=draw)
    QueuedRefusal.objects.bulk_create(drawn.refused)
    today = taking.today_of(campaign)
    for code, times in sorted(Counter(each.code for each in drawn.refused).items()):
        Refusal.objects.count_many(campaign.pk, code, today, times)
