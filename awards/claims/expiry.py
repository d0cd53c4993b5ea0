"""What becomes of an award that nobody claims in time: its piece goes back into stock, or is drawn for once more."""

import hashlib
from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from awards import rules
from awards.changes import tell_clients
from awards.errors import AwardChanged
from awards.listeners import REDRAW
from awards.luck import Luck
from awards.models import Award, AwardStatus, Block, Campaign, Draw, Participation, Prize
from awards.models.draw import REDRAWN
from awards.services import pieces, statistics
from awards.services.awarding import award_prize
from awards.services.taking import give_budget_back, wins_of
from outbox import publish

MACHINE = "outbox"
"""In whose name stock comes back that nobody has claimed."""
MOST_TRIES = 20
"""How many losing draws are looked at for one whose person may win."""


def expire(award_id: int) -> timedelta | None:
    """Expire an award whose time is over; return how long to wait if it is not, or None if nothing is left to do.

    Call it inside a transaction. The award's own date decides, and whoever claims it at the same moment wins or loses
    by its row. Raises ``AwardChanged`` if the award was changed meanwhile in another way; then try again.
    """
    award = Award.objects.with_clock().select_related("prize__campaign").filter(pk=award_id).first()
    if award is None or not award.is_unclaimed or award.claim_until is None:
        return None
    if (rest := award.claim_until - award.clock) > timedelta(0):
        return rest
    if not Award.objects.expire(award):
        if Award.objects.get(pk=award_id).is_unclaimed:
            raise AwardChanged(f"award {award.public_id} was changed while it expired")
        return None
    if award.prize.campaign.redraws_expired:
        publish(REDRAW, key=award.pk, payload={"award": award.pk})
    else:
        _let_go(award)
    statistics.count_revoked(award)
    tell_clients(award, AwardStatus.EXPIRED)
    return None


def give_up_redraw(award_id: int) -> None:
    """Let the piece of an expired award go, for which nobody is drawn any more. Call it inside a transaction."""
    award = Award.objects.select_related("prize__campaign").filter(pk=award_id, status=AwardStatus.EXPIRED).first()
    if award is not None and not _redraw_of(award).exists():
        _let_go(award)


def redraw(award_id: int, luck: Luck) -> Draw | None:
    """Draw once more for the piece of an expired award, among the losing draws of its campaign, each with one ticket.

    Who is blocked does not win. With nobody left, the piece goes back into stock. Call it inside a transaction.
    """
    award = Award.objects.select_related("prize__campaign", "draw").filter(pk=award_id).first()
    if award is None or award.status != AwardStatus.EXPIRED:
        return None
    lost, proof = _candidate(award, luck)
    if lost is None:
        _let_go(award)
        return None
    drawn = Draw.objects.create(
        campaign=award.prize.campaign,
        request_id=_request_of(award),
        person=lost.person,
        digest=hashlib.sha256(award.public_id.bytes).hexdigest(),
        redraw_of=lost,
        proof=proof,
    )
    award_prize(drawn, award.prize, language="", budgeted=award.budgeted)
    return drawn


def _request_of(award: Award) -> str:
    """Return the request's id of the draw for an expired award's piece, which is there once."""
    return f"{REDRAWN}{award.public_id}"


def _redraw_of(award: Award) -> "QuerySet[Draw]":
    """Return the draw for an expired award's piece, if there was one."""
    redraws = Draw.objects.filter(campaign=award.prize.campaign, redraw_of__isnull=False)
    return redraws.filter(request_id=_request_of(award))


def _let_go(award: Award) -> None:
    """Put the piece back into stock if its prize wants that, and its value back into the budget."""
    if award.prize.returns_to_stock:
        pieces.put_back(award, because="expired", actor=MACHINE)
    give_budget_back(award)


def _candidate(award: Award, luck: Luck) -> tuple[Draw | None, dict[str, Any]]:
    """Return the losing draw that luck chose, and the proof: which it was, and among how many."""
    losing = _losing_draws(award.prize.campaign)
    for _ in range(MOST_TRIES):
        many = losing.count()
        if not many:
            break
        number = luck.randrange(many)
        lost = next(iter(losing[number : number + 1]), None)
        if lost is None:  # somebody of the last was erased, or drawn, since they were counted
            continue
        if not _may_win(lost.person, award.prize):
            losing = losing.exclude(person=lost.person)
            continue
        _hold(lost)  # then look again: it may have been erased or drawn meanwhile, and its person have won
        if losing.filter(pk=lost.pk, person=lost.person).exists() and _may_win(lost.person, award.prize):
            return lost, {"code": rules.code_version(), "losing draws": many, "number": number, "draw": lost.pk}
    return None, {}


def _hold(lost: Draw) -> None:
    """Hold back the person's draws and other redraws, and their erasure, until it is over."""
    mine = Participation.objects.filter(campaign=lost.campaign_id, person=lost.person)
    list(mine.select_for_update(no_key=True))


def _may_win(person: str, prize: Prize) -> bool:
    """Tell whether the person is not blocked, and has won the prize less often than each person may."""
    if Block.objects.against(person=person, address="").exists():
        return False
    most = prize.wins_per_person
    return most is None or wins_of([person], [prize])[person, prize.pk] < most


def _losing_draws(campaign: Campaign) -> "QuerySet[Draw]":
    """Return the draws that won nothing, were not drawn for a second time either, and still are somebody's."""
    won = Exists(Award.objects.filter(draw=OuterRef("pk")))
    again = Exists(Draw.objects.filter(redraw_of=OuterRef("pk")))
    return Draw.objects.not_erased().filter(~won, ~again, campaign=campaign).order_by("pk")
