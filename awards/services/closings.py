"""What an operator does by hand with the message that issues an award, done to the award, its stock and its count.

Called in the transaction of the operator's act. Awards are locked by id, then all stocks, then the budgets, then the
counts, each in one order: as draws and revocations do it, so that nobody deadlocks.
"""

import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.utils.translation import gettext as _

from awards.changes import tell_clients
from awards.errors import ClosingRefused, StockHasNoLimit, StockTooLarge, StockTooSmall
from awards.models import Award, AwardStatus, StockAct
from awards.models.award import TAKEN_BACK
from awards.models.stock import STOCK_REASON_LENGTH
from awards.services import campaigns, statistics
from awards.services.campaigns import StockChangeRequest
from awards.services.taking import give_budget_back, spend_budget_again
from outbox import Closing

CLOSED_AS = {
    "issued": AwardStatus.ISSUED,
    "compensated": AwardStatus.COMPENSATED,
    "not_due": AwardStatus.CANCELLED,
    "discarded": AwardStatus.CANCELLED,
    "withdrawn": AwardStatus.CANCELLED,
}
"""What an award becomes by the outcome of its message."""
NOT_GIVEN_OUT = frozenset({AwardStatus.COMPENSATED, AwardStatus.CANCELLED})


class Move(NamedTuple):
    """What an award was, and what it has become."""

    award: Award
    before: AwardStatus
    after: AwardStatus

    @property
    def taken_back(self) -> int:
        """1 for an award that is taken back, -1 for one that no longer is."""
        return int(self.after in TAKEN_BACK) - int(self.before in TAKEN_BACK)


def close_awards(closings: Sequence[Closing]) -> None:
    """Close the awards as their messages are closed. A piece that was not given out goes back into stock.

    Raises ``ClosingRefused`` if an award stands otherwise than the operator says; then nothing may be written.
    """
    _follow([move for closing, award in _with_awards(closings) for move in _close(closing, award)])


def reopen_awards(closings: Sequence[Closing]) -> None:
    """Make the awards again what they were, and take their pieces out of stock again.

    Raises ``ClosingRefused`` if a piece is no longer there.
    """
    _follow([_reopen(closing, award) for closing, award in _with_awards(closings) if award.closed_from])


def _with_awards(closings: Sequence[Closing]) -> list[tuple[Closing, Award]]:
    """Return each closing with its award, which is locked; without one there is nothing to follow."""
    by_key = {closing.message.key: closing for closing in closings}
    ids = [int(key) for key in by_key if key.isdecimal()]
    locked = Award.objects.filter(pk__in=ids).order_by("pk").select_for_update(of=("self",), no_key=True)
    found = [(by_key[str(award.pk)], award) for award in locked.select_related("prize__campaign")]
    return sorted(found, key=lambda pair: _place(pair[1]))


def _place(award: Award) -> tuple[object, ...]:
    """Return where an award stands in the order in which sales, stocks and counts are locked."""
    return award.prize.campaign_id, award.prize_id, statistics.day_of(award), award.pk


def _close(closing: Closing, award: Award) -> Iterator[Move]:
    """Close an award and put its piece back, and say what has changed, if anything has."""
    before, after = AwardStatus(award.status), CLOSED_AS[closing.outcome]
    if before == after or (before in TAKEN_BACK and after in NOT_GIVEN_OUT):
        return
    if before == AwardStatus.ISSUED:
        raise ClosingRefused(
            _("award %(id)s has been issued already. If that is all, mark the message as handled: issued.")
            % {"id": award.public_id}
        )
    if before in NOT_GIVEN_OUT:
        raise ClosingRefused(
            _("award %(id)s is closed already: %(status)s.")
            % {"id": award.public_id, "status": award.get_status_display()}
        )
    returned = after in NOT_GIVEN_OUT and _return_piece(closing, award)
    Award.objects.close_by_hand(award, after, stock_returned=returned)
    yield Move(award, before, after)


def _reopen(closing: Closing, award: Award) -> Move:
    """Open an award again and take its piece, and say what has changed."""
    if award.stock_returned:
        _take_piece_again(closing, award)
    Award.objects.reopen(award)
    return Move(award, AwardStatus(award.status), AwardStatus(award.closed_from))


def _follow(moves: Sequence[Move]) -> None:
    """Keep the budgets and the count of what was taken back. What was compensated otherwise has cost something."""
    for move in sorted(moves, key=lambda move: move.award.prize.campaign_id):
        if move.taken_back > 0:
            give_budget_back(move.award)
        elif move.taken_back < 0:
            spend_budget_again(move.award)
    for move in moves:
        if move.taken_back:
            statistics.count_revoked(move.award, move.taken_back)
        tell_clients(move.award, move.after)


def _return_piece(closing: Closing, award: Award) -> bool:
    """Put the piece back into stock if its prize wants that; tell whether it was."""
    if not award.prize.returns_to_stock or award.prize.stock is None:
        return False
    text = _("Award %(id)s was closed by hand: %(reason)s")
    try:
        _change_stock(closing, award, StockAct.ADD, text)
    except (StockHasNoLimit, StockTooLarge):
        return False
    return True


def _take_piece_again(closing: Closing, award: Award) -> None:
    text = _("Award %(id)s was reopened: %(reason)s")
    try:
        _change_stock(closing, award, StockAct.REMOVE, text)
    except StockHasNoLimit:
        return
    except StockTooSmall as error:
        raise ClosingRefused(
            _(
                "the piece of award %(id)s went back into stock and was won by somebody else. Add one to the stock of "
                "“%(prize)s” first, or leave it closed."
            )
            % {"id": award.public_id, "prize": award.prize.name}
        ) from error


def _change_stock(closing: Closing, award: Award, act: StockAct, text: str) -> None:
    """Move one piece, and write it into the book of the stock under the operator's name."""
    reason = text % {"id": award.public_id, "reason": closing.reason}
    request = StockChangeRequest(act=act, pieces=1, reason=reason[:STOCK_REASON_LENGTH], request_id=uuid.uuid4())
    campaigns.change_stock(award.prize, request, actor=closing.actor)
