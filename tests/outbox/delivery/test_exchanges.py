"""What a handler records of its talk with another system: kept with the attempt, however that ends.

Consumers outside a transaction, one by one; beside each other, in threads and on the event loop; and inside one.
"""

import asyncio
import contextlib
import time
import tracemalloc
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from outbox import Reject, Unavailable
from outbox.delivery import chunks, execution, hard_end, starting
from outbox.delivery.time_limits import Call
from outbox.delivery.wide import hints
from outbox.delivery.wide.pool import Pool
from outbox.maintenance import pruning
from outbox.models import Exchange, Message
from outbox.models.exchange import ATTEMPTS_KEPT
from outbox.models.said import EXCHANGES_KEPT, LENGTH, as_text
from tests.harness.messages import kept_attempts, publish_message, publish_messages, state_of
from tests.outbox.delivery.wide.conftest import wait_for
from tests.shop.models import Stock, Tag

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

ASKED, HEARD = '{"sku": "MUG"}', '{"number": "V-1"}'


@pytest.fixture
def pool(monkeypatch):
    made = Pool()
    monkeypatch.setattr(hints, "_pool", made)
    yield made
    made.end()


def said(id: int) -> list[tuple[int, str, str]]:
    """Return attempt, request and answer of all that is kept of a message."""
    return list(Exchange.objects.filter(message_id=id).order_by("pk").values_list("number", "request", "answer"))


def talk(message) -> None:
    message.record_exchange(request={"sku": "MUG"}, answer={"number": "V-1"})
    match message.payload.get("do"):
        case "fail":
            raise ValueError("the vendor is confused")
        case "reject":
            raise Reject("no such article")
        case "unavailable":
            raise Unavailable("busy")


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("do", ["", "fail", "reject", "unavailable"])
def test_what_was_said_is_kept_however_the_attempt_ends(listen, atomic, do):
    listen(talk, atomic=atomic)
    id = publish_message(do=do)

    chunks.deliver("test.till", [id])

    assert said(id) == [(1, ASKED, HEARD)]


@pytest.mark.services
def test_what_was_said_survives_a_transaction_that_fails_only_at_its_commit(listen):
    def spoil(message):
        talk(message)
        for _twice in range(2):
            Tag.objects.create(name="the same")

    listen(spoil)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert [outcome for _number, outcome, _error in kept_attempts(id)] == ["failed"]
    assert said(id) == [(1, ASKED, HEARD)]


@pytest.mark.parametrize("do", ["", "fail"])
@pytest.mark.parametrize("on_the_loop", [True, False])
def test_calls_beside_each_other_keep_each_its_own(listen, pool, do, on_the_loop):
    async def talk_on_the_loop(message):
        await asyncio.sleep(0)
        talk(message)

    till = listen(talk_on_the_loop if on_the_loop else talk, atomic=False, concurrency=5)
    ids = publish_messages(5, do=do)

    hints.deliver(till, ids)

    wait_for(lambda: Exchange.objects.count() == 5)
    assert [said(id) for id in ids] == [[(1, ASKED, HEARD)]] * 5


def test_a_bulk_handler_records_for_each_message_of_its_list(listen):
    def talk_of_all(messages):
        for message in messages:
            message.record_exchange(request=message.key, answer="yes")

    listen(talk_of_all, bulk=True)
    ids = publish_messages(3)

    chunks.deliver("test.till", ids)

    assert [said(id) for id in ids] == [
        [(1, key, "yes")] for key in Message.objects.order_by("pk").values_list("key", flat=True)
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_what_was_said_before_settling_commits_with_the_success_or_stays_with_the_failure(order, fails):
    def settle(message):
        message.record_exchange(request="an order", answer="V-1")
        with message.settling():
            if fails:
                raise ValueError("the award is gone")

    order(settle)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id).status == ("pending" if fails else "success")
    assert said(id) == [(1, "an order", "V-1")]


def swallow() -> None:
    for _twice in range(2):
        with contextlib.suppress(IntegrityError):
            Stock.objects.create(pk=1)


def roll_back() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [(swallow, "the handler caught a database error"), (roll_back, "the handler ended the transaction")],
)
def test_what_spoils_the_transaction_of_settling_is_named_and_what_was_said_is_kept(order, spoil, error):
    def settle(message):
        message.record_exchange(request="an order", answer="V-1")
        with message.settling():
            spoil()

    order(settle)
    id = publish_message()

    chunks.deliver("test.till", [id])

    [(_number, _outcome, told)] = kept_attempts(id)
    assert error in told
    assert said(id) == [(1, "an order", "V-1")]


@pytest.mark.parametrize("bulk", [False, True])
def test_what_was_said_is_kept_when_the_process_is_ended(listen, bulk):
    entry = listen(atomic=False, bulk=bulk, timeout=timedelta(seconds=1))
    [row] = starting.start_named(entry, [publish_message()])
    [message] = Message.objects.held([row.fence])
    execution.for_handler(message).record_exchange(request="an order")

    hard_end.settle(Call(entry, [message] * (1 + bulk)), "at the till")

    assert said(message.pk) == [(1, "an order", "")]


def test_a_result_that_came_too_late_is_kept_with_what_was_said(order):
    def overtaken(message):
        Message.objects.filter(pk=message.pk).update(attempts=2, attempt_limit=4)
        message.record_exchange(request="an order", answer="V-1")

    order(overtaken)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert [outcome for _number, outcome, _error in kept_attempts(id)] == ["late"]
    assert said(id) == [(1, "an order", "V-1")]


def test_a_call_that_was_given_up_has_what_it_said_until_then_and_later_once(listen, pool, configure):
    def slow(message):
        message.record_exchange(request="first", answer=None)
        time.sleep(1.5)
        message.record_exchange(request="second", answer="at last")

    till = listen(slow, atomic=False, concurrency=2, timeout=timedelta(seconds=0.5))
    id = publish_message()

    hints.deliver(till, [id])

    wait_for(lambda: len(said(id)) == 2)
    assert said(id) == [(1, "first", ""), (1, "second", "at last")]


def test_who_records_nothing_is_asked_nothing_and_a_chunk_is_written_at_once(listen):
    listen(lambda _message: None, name="test.a")
    listen(talk, name="test.b")
    ids = publish_messages(10)

    def asked(consumer: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            chunks.deliver(consumer, [*Message.objects.filter(consumer=consumer).values_list("pk", flat=True)])
        return sum("outbox_exchange" in query["sql"] for query in captured.captured_queries)

    assert (asked("test.a"), asked("test.b")) == (0, 1)
    assert (len(ids), Exchange.objects.count()) == (20, 10)


def test_of_an_attempt_the_first_exchanges_are_kept_and_of_each_side_the_beginning(order):
    def talkative(message):
        for number in range(EXCHANGES_KEPT + 5):
            message.record_exchange(request=str(number), answer="x" * (LENGTH + 1))

    order(talkative)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert [request for _number, request, _answer in said(id)] == [str(n) for n in range(EXCHANGES_KEPT)]
    assert said(id)[0][2] == "x" * (LENGTH - 1) + "…"


def test_of_a_message_the_last_attempts_are_kept(listen):
    listen(talk)
    id = publish_message()
    Message.objects.update(attempts=ATTEMPTS_KEPT, attempt_limit=ATTEMPTS_KEPT + 3)
    for number in (1, 2):
        Exchange.objects.create(message_id=id, number=number, position=0)

    chunks.deliver("test.till", [id])

    assert [number for number, _asked, _heard in said(id)] == [2, ATTEMPTS_KEPT + 1]


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, ""),
        ("plain", "plain"),
        (b"by\xfftes", "by\ufffdtes"),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        ("nul \0 and \ud800", "nul \\0 and \\ud800"),
        ({"at": timedelta(seconds=1)}, '{"at": "0:00:01"}'),
        ({("a", "b"): 1}, "(it cannot be written as text)"),
        ({"a": Unspeakable()}, "(it cannot be written as text)"),
    ],
)
def test_whatever_is_handed_over_becomes_a_text_that_can_be_stored(order, given, text):
    order(lambda message: message.record_exchange(request=given))
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert as_text(given) == text
    assert said(id) == [(1, text, "")]


@pytest.mark.parametrize("given", ["x" * 50_000_000, b"x" * 50_000_000])
def test_of_a_long_text_only_what_is_kept_is_looked_at(given):
    tracemalloc.start()
    try:
        text = as_text(given)
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(text) == LENGTH
    assert most < 1_000_000


def test_what_was_said_goes_with_its_message(listen):
    listen(talk)
    id = publish_message()
    chunks.deliver("test.till", [id])
    Message.objects.update(finished_at="2020-01-01T00:00Z")

    pruning.prune()

    assert not Exchange.objects.exists()
