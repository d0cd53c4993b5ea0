"""A draw whose pieces are taken in Redis: whether the person may, then luck, the piece, and the draw's transaction."""

import logging
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from django.db import IntegrityError, router, transaction
from redis.exceptions import RedisError

from awards import rules
from awards.errors import (
    DrawRefused,
    NothingNow,
    RequestUnderWay,
    SaleClosed,
    SaleUnavailable,
    SoldOut,
)
from awards.listeners import STOCK_SOLD_OUT
from awards.luck import Luck
from awards.models import Award, Because, Campaign, Draw, Entitlement, Phase, Prize, Sale, SaleState
from awards.persons import identity
from awards.sale import redis_stock
from awards.sale.holding import Hold
from awards.sale.redis_stock import Asker
from awards.services import draws, taking
from awards.services.draws import Asked, Guard
from awards.services.sales import close_for_warming
from awards.services.taking import Taken
from outbox import HalfTakenBack, publish

log = logging.getLogger("awards.sale")

TWIN_WAITS = (0.05, 0.1, 0.2, 0.4)
"""Seconds to wait for the same request, sent twice at once, to be drawn by the other, or for the person's turn."""


def draw_from_redis(
    campaign: Campaign,
    *,
    person: str,
    request_id: str,
    luck: Luck,
    language: str = "",
    entitlement: Entitlement | None = None,
    guard: Guard | None = None,
) -> Draw:
    """Draw once for ``person``, as ``draws.draw_ticket`` does, from the stock that Redis has.

    The campaign must have been read ``with_clock`` and ``with_sale``. Raises also ``SaleClosed``, ``SaleUnavailable``
    and ``RequestUnderWay``.
    """
    person = identity(person, ignores_tags=campaign.ignores_tags)
    request_id = draws.checked_request_id(request_id)
    asked = Asked(person=person, request_id=request_id, entitlement=entitlement)
    if earlier := draws.earlier_draw(campaign, asked):
        return earlier
    if guard is not None:
        guard(person)
    sale = _open_sale(campaign)
    asker = Asker(request_id=request_id, person=person, limit=campaign.draws_per_person)
    try:
        return _draw(campaign, sale, asker, asked, luck, language)
    except RequestUnderWay:
        return _wait_for_twin(campaign, asked)
    except (RedisError, HalfTakenBack) as error:
        raise SaleUnavailable("the stock in Redis cannot be asked") from error
    except (IntegrityError, DrawRefused):
        # Its twin was faster, and has drawn what we were refused.
        if earlier := draws.earlier_draw(campaign, asked):
            return earlier
        raise


def _open_sale(campaign: Campaign) -> Sale:
    """Return the sale if it is open. The first who comes when its campaign begins has it prewarmed."""
    sale = campaign.how_sold
    if sale is None:
        raise SaleClosed("this campaign is no flash sale any more")
    if sale.state == SaleState.NEW and campaign.phase == Phase.RUNNING:
        close_for_warming(sale, Because.BEGUN)
    if refusal := draws.closed(campaign):
        raise refusal
    return sale


def _draw(campaign: Campaign, sale: Sale, asker: Asker, asked: Asked, luck: Luck, language: str) -> Draw:
    prizes = taking.prizes_of(campaign)
    _refuse_what_redis_cannot_count(campaign, prizes)
    with ExitStack() as stack:
        if asked.entitlement is not None or campaign.needs_entitlement or campaign.draws_per_day is not None:
            stack.enter_context(_turn(sale, asker))
        draws.refuse_in_advance(campaign, asked)
        hold = Hold(sale, asker, stack)
        taken = _take(campaign, prizes, asker.person, hold, luck)
        try:
            with transaction.atomic(using=router.db_for_write(Draw)):
                hold.commit()  # first, as a piece that was given back meanwhile is somebody else's by now
                current = draws.open_campaign(campaign)
                drawn = draws.write_draw(current, asked, language, lambda: _still_allowed(taken, asker.person))
                if hold.turn and taken.prize is not None:
                    _say_sold_out(sale, taken.prize, hold.turn)
        except IntegrityError as error:
            _refuse_collision(sale, taken, error)
            raise
    if taken.piece is None:
        _count_lost(sale, asker)
    return drawn


@contextmanager
def _turn(sale: Sale, asker: Asker) -> Iterator[None]:
    """Let no other draw of the person go on meanwhile.

    Redis cannot count an entitlement, nor the draws of a day. Of many draws that one entitlement allows at once, all
    but one would be refused with a piece in hand, which is on sale again only when a worker has given it back.
    """
    owner = uuid.uuid4()
    try:
        for seconds in (*TWIN_WAITS, 0):
            if redis_stock.take_turn(sale, asker, owner):
                break
            time.sleep(seconds)
        else:
            raise RequestUnderWay("another draw of this person is under way")
        yield
    finally:
        try:
            redis_stock.end_turn(sale, asker, owner)
        except RedisError as error:
            log.warning("the person's next draw waits %s, as Redis does not answer: %s", redis_stock.TURN, error)


def _refuse_what_redis_cannot_count(campaign: Campaign, prizes: Sequence[Prize]) -> None:
    """Let nobody draw beyond a budget or a limit of wins a day. The forms refuse them; other code may set them."""
    if campaign.has_any_budget or any(prize.wins_per_day is not None for prize in prizes):
        log.error("campaign %s has a budget or a limit of wins a day, and its stock is in Redis", campaign.slug)
        raise SaleClosed("a budget, or a limit of wins a day, cannot be counted in Redis")


def _take(campaign: Campaign, prizes: Sequence[Prize], person: str, hold: Hold, luck: Luck) -> Taken:
    """Return what luck gave, with a piece taken; raise ``SoldOut`` or ``NothingNow`` if there was nothing to win."""
    winnable = taking.winnable_by(person, campaign, prizes)
    left = hold.left([prize for prize in winnable if prize.stock is not None])
    gone = {prize for prize, pieces in left.items() if not pieces}

    def take(prize: Prize) -> bool:
        there = hold.take(prize)
        if not there:
            gone.add(prize.pk)
        return there

    outcome = rules.draw([prize for prize in winnable if prize.pk not in gone], campaign.losing_weight, luck, take)
    if not outcome.is_empty:
        return Taken(prize=outcome.prize, budgeted=False, proof=rules.proof_of(outcome), piece=hold.piece)
    fallback = taking.fallback_of(prizes)
    if fallback is not None:
        proof = rules.proof_of(outcome, fallback=fallback.pk)
        return Taken(prize=fallback, budgeted=False, proof=proof)
    if any(prize.weight and prize.stock != 0 and prize.pk not in gone for prize in prizes):
        raise NothingNow("nothing of this campaign can be won at this moment")
    raise SoldOut("every prize of this campaign has been won")


def _still_allowed(taken: Taken, person: str) -> Taken:
    """Return what was taken, if the person has not won as much of it by another draw at the same moment."""
    prize = taken.prize
    most = None if prize is None else prize.wins_per_person
    if prize is not None and most is not None and taking.wins_of([person], [prize])[person, prize.pk] >= most:
        raise NothingNow("this person has won as many of this prize as each may")
    return taken


def _say_sold_out(sale: Sale, prize: Prize, turn: int) -> None:
    publish(
        STOCK_SOLD_OUT,
        key=f"{prize.pk}:{sale.epoch}:{turn}",
        payload={"sale": sale.pk, "epoch": sale.epoch, "prize": prize.pk},
    )


def _refuse_collision(sale: Sale, taken: Taken, error: IntegrityError) -> None:
    """Close the sale if Redis has handed out a piece that somebody has: it does not know what it knew before."""
    if taken.piece is None or taken.prize is None:
        return
    if Award.objects.filter(prize=taken.prize, piece=taken.piece.number).exists():
        log.error("Redis has handed out piece %d of prize %d twice", taken.piece.number, taken.prize.pk)
        close_for_warming(sale, Because.HANDED_OUT_TWICE)
        raise SaleClosed("Redis has handed out a piece twice") from error


def _count_lost(sale: Sale, asker: Asker) -> None:
    """Count a draw that took no piece. It is counted in the database in any case, so it may fail here."""
    if asker.limit is None:
        return
    try:
        redis_stock.count_lost(sale, asker)
    except RedisError as error:
        log.warning("a draw could not be counted in Redis: %s", error)


def _wait_for_twin(campaign: Campaign, asked: Asked) -> Draw:
    """Return what the same request came to that somebody else is drawing; raise if that takes too long."""
    for seconds in TWIN_WAITS:
        time.sleep(seconds)
        if earlier := draws.earlier_draw(campaign, asked):
            return earlier
    raise RequestUnderWay("the same request is being drawn, or was cut off")
