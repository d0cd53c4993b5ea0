"""A piece of the stock in Redis in the hands of a draw, until the draw is committed or the piece is given back.

The half message *stock.taken* is committed before the piece is taken. The draw's transaction makes it a message. If
that transaction is not committed, whatever the reason, the half is taken back first, and only then, by the message
that follows, is the piece given back to Redis. So nobody else can have it while the draw may still be committed.
"""

import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connections, router

from awards.errors import LimitReached, RequestUnderWay, SaleClosed, SaleUnavailable
from awards.listeners import STOCK_GIVEN_BACK, STOCK_TAKEN
from awards.models import Because, Prize, Sale, SaleState
from awards.sale import redis_stock
from awards.sale.redis_stock import Answer, Asker
from awards.services.sales import close_for_warming
from awards.services.taking import TakenPiece
from outbox import check_back, prepare

if TYPE_CHECKING:
    from outbox.external.halves.preparing import PreparedHalf

CHECK = "awards.draw_committed"
WITHIN = timedelta(seconds=10)
"""Longer than a draw takes; after that it is found to be dead, and its piece is given back."""


@check_back(CHECK)
def is_draw_committed(_half: object) -> bool:
    """Answer no: a draw that was committed has settled its half message, and from now on none can be."""
    return False


@dataclass
class Hold:
    """What one draw holds of a sale's stock. ``stack`` ends when the draw is committed, or has failed."""

    sale: Sale
    asker: Asker
    stack: ExitStack
    piece: TakenPiece | None = None
    turn: int = 0
    """How often the prize has run out by now, if it has with this piece."""
    _half: "PreparedHalf | None" = field(default=None, repr=False)

    def left(self, prizes: list[Prize]) -> dict[int, int]:
        """Return how many pieces are left of each prize; raise why the person may not draw."""
        answer = self._checked(redis_stock.ask(self.sale, self.asker, [prize.pk for prize in prizes]))
        return dict(zip((prize.pk for prize in prizes), answer.left, strict=True))

    def take(self, prize: Prize) -> bool:
        """Take a piece of the prize; tell whether there was one. What has no limit is always there."""
        if prize.stock is None:
            return True
        award_id = uuid.uuid4()
        half = self.stack.enter_context(
            prepare(
                STOCK_TAKEN,
                key=award_id,
                payload={"campaign": self.sale.campaign_id, "epoch": self.sale.epoch, "prize": prize.pk},
                check=CHECK,
                within=WITHIN,
                otherwise=STOCK_GIVEN_BACK,
            )
        )
        answer = redis_stock.take(self.sale, self.asker, prize.pk, half.write_id)
        if answer.status != "taken":
            half.take_back()  # Redis has said that nothing was taken
            self._checked(answer)
            return False
        self._half, self.turn = half, answer.turn
        self.piece = TakenPiece(answer.piece, award_id)
        return True

    def commit(self) -> None:
        """Make the half the message in the draw's transaction, if nobody has prewarmed the sale since.

        Whoever prewarms it waits for this transaction; after that, pieces of the earlier epoch are never drawn.
        """
        if self._half is None:
            return
        if not _is_current(self.sale):
            raise SaleClosed("the stock was counted once more since the piece was taken")
        self._half.commit()

    def _checked(self, answer: Answer) -> Answer:
        match answer.status:
            case "limit":
                raise LimitReached(f"each person may draw {self.asker.limit} times in this campaign")
            case "under_way":
                raise RequestUnderWay("the same request is being drawn")
            case "cold":
                close_for_warming(self.sale, Because.NOT_IN_REDIS)
                raise SaleClosed("the stock is not in Redis")
            case "void":
                raise SaleUnavailable("it took too long, and was taken back")
            case _:
                return answer


def _is_current(sale: Sale) -> bool:
    """Tell whether the sale is open and of that epoch, and keep it so until the transaction ends."""
    connection = connections[router.db_for_write(Sale)]
    shared = " FOR SHARE" if connection.vendor == "postgresql" else ""
    table = connection.ops.quote_name(Sale._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM {table} WHERE id = %s AND epoch = %s AND state = %s{shared}",  # noqa: S608  # the table's name
            [sale.pk, sale.epoch, SaleState.OPEN.value],
        )
        return cursor.fetchone() is not None
