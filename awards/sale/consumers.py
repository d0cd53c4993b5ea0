"""What is done about a sale's messages. ``awards.consumers`` has them found by the outbox."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q
from redis.exceptions import RedisError

from awards.errors import DrawError
from awards.listeners import (
    CAMPAIGN_CHANGED,
    DRAWN_BY,
    FORGOTTEN_BY,
    GIVEN_BACK_BY,
    SALE_DRAW,
    SALE_WARM,
    SOLD_OUT_BY,
    STOCK_GIVEN_BACK,
    STOCK_SOLD_OUT,
    STOCK_TAKEN,
    STOCK_WRITTEN_BY,
    WARMED_BY,
)
from awards.luck import SYSTEM_LUCK
from awards.models import Award, Campaign
from awards.sale import holding, pages, redis_stock, selling_out, warming
from awards.sale.bulk_drawing import draw_for_all
from awards.sale.queueing import QueuedRequest
from awards.services.written_stock import write_down
from outbox import Backoff, Book, Message, Reject, Snooze, Unavailable, book, consumer

__all__ = ["holding"]

LOOKS_FOR_REST = 15
"""How often it is looked whether draws that hold the last pieces are committed or taken back."""
LOOK_AGAIN = timedelta(seconds=3)
DRAWN_TOGETHER = 500
TIME_OF_A_CHUNK = timedelta(seconds=25)
WAITS = Backoff(limit=20, first=timedelta(seconds=1), cap=timedelta(minutes=1))


@book("flash_sales", every=timedelta(minutes=10))
class SaleBook(Book):
    """Every piece that Redis has handed out for an award is taken off its prize's stock."""

    business = Award.objects.filter(piece__isnull=False)
    key = "public_id"
    since = "won_at"
    topic = STOCK_TAKEN
    done = Q(stock_written=True)


@consumer(STOCK_TAKEN, name=STOCK_WRITTEN_BY, bulk=True, chunk=500, value=False)
def write_stock(messages: Sequence[Message]) -> None:
    """Write down what was taken in Redis, in the settling transaction: one UPDATE for each prize of the chunk."""
    write_down([message.key for message in messages])


@consumer(STOCK_GIVEN_BACK, name=GIVEN_BACK_BY, atomic=False, retry=WAITS, value=False)
def give_back(message: Message) -> None:
    """Give a piece back to Redis whose draw was not committed, and never will be."""
    taken = message.payload
    try:
        redis_stock.give_back(taken["campaign"], taken["epoch"], message.key)
    except RedisError as error:
        raise Unavailable(f"Redis does not answer: {error}") from error


@consumer(STOCK_SOLD_OUT, name=SOLD_OUT_BY, atomic=False, retry=WAITS, value=False)
def note_sold_out(message: Message) -> None:
    """Find out whether a prize is sold out of which Redis has no piece left."""
    asked = message.payload
    in_doubt = message.attempts >= LOOKS_FOR_REST
    try:
        known = selling_out.note_sold_out(asked["sale"], asked["epoch"], asked["prize"], in_doubt=in_doubt)
    except RedisError as error:
        raise Unavailable(f"Redis does not answer: {error}") from error
    if not known:
        raise Snooze(LOOK_AGAIN, "draws may still hold pieces")


@consumer(
    SALE_DRAW,
    name=DRAWN_BY,
    bulk=True,
    chunk=DRAWN_TOGETHER,
    overdue="discard",
    timeout=TIME_OF_A_CHUNK,
    value=False,
)
def draw_queued(messages: Sequence[Message]) -> None:
    """Draw for many requests, in the settling transaction. One that cannot be read is rejected by itself.

    Those of a sale that is closed wait, as long as their messages may.
    """
    asked: dict[int, list[tuple[Message, QueuedRequest]]] = defaultdict(list)
    for message in messages:
        try:
            request = QueuedRequest.read(message.payload, message.headers)
        except (ValueError, TypeError, KeyError, AttributeError, DrawError) as error:
            message.report(Reject(f"the request cannot be read: {error}"))
        else:
            asked[request.campaign_id].append((message, request))
    for campaign_id, waiting in sorted(asked.items()):
        if not draw_for_all(campaign_id, [request for _message, request in waiting], SYSTEM_LUCK):
            for message, _request in waiting:
                message.report(Snooze(LOOK_AGAIN, "the sale is closed"))


@consumer(SALE_WARM, name=WARMED_BY, atomic=False, retry=WAITS, value=False)
def warm_sale(message: Message) -> None:
    """Put the stock of a sale into Redis, and open it."""
    try:
        warming.warm(message.payload["sale"])
    except RedisError as error:
        raise Unavailable(f"Redis does not answer: {error}") from error


@consumer(CAMPAIGN_CHANGED, name=FORGOTTEN_BY, atomic=False, value=False)
def forget_page(message: Message) -> None:
    """Have the page of a campaign read anew, as something that it shows was changed."""
    slug = Campaign.objects.filter(pk=message.payload["campaign"]).values_list("slug", flat=True).first()
    if slug is not None:
        pages.forget(slug)
