"""Several real workers on the same business rows: nothing is lost, nothing is doubled."""

import random
import threading
from collections import Counter
from time import perf_counter

import pytest
from django.db import transaction
from django.db.models import F

from outbox import Draft, publish_many
from outbox.delivery import chunks
from outbox.models import Attempt, Message
from tests.harness.threads import at_once
from tests.shop.consumers import leave_effect
from tests.shop.models import Effect, Stock

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched")]

STOCKS = 100
MESSAGES = 1_000


@pytest.mark.parametrize("ordered", [True, False], ids=["sorted by the stock", "in any order"])
def test_four_workers_that_share_a_hundred_stocks_lose_and_double_nothing(listen, ordered):
    def take(message):
        Stock.objects.filter(pk=message.payload["stock"]).update(count=F("count") - 1)
        leave_effect(message)

    listen(take, sort=(lambda message: message.payload["stock"]) if ordered else None)
    uniform = random.Random(11)
    stock_of = {str(n): uniform.randrange(1, STOCKS + 1) for n in range(MESSAGES)}
    Stock.objects.bulk_create(Stock(pk=pk, count=MESSAGES) for pk in range(1, STOCKS + 1))
    with transaction.atomic():
        ids = publish_many(
            Draft(topic="test.sold", key=key, payload={"stock": stock}) for key, stock in stock_of.items()
        )
    hints = [ids[start : start + 50] for start in range(0, MESSAGES, 50)]
    chances = threading.local()

    def work():
        chances.uniform = random.Random(threading.get_ident())
        while Message.objects.unfinished().exists():
            chunks.deliver("test.till", chances.uniform.choice(hints))

    began = perf_counter()
    at_once(*[work] * 4)
    seconds = perf_counter() - began

    print(f"{MESSAGES / seconds:,.0f} rows/s with four threads in one process, ordered={ordered}")
    taken = Counter(stock_of.values())
    assert set(Message.objects.values_list("status", flat=True)) == {"success"}
    assert Counter(Effect.objects.values_list("key", flat=True)) == Counter(list(stock_of))
    assert dict(Stock.objects.values_list("pk", "count")) == {pk: MESSAGES - taken[pk] for pk in range(1, STOCKS + 1)}
    assert Attempt.objects.count() == 0
