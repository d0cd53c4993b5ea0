"""What a handler records of its talk with another system: kept with the attempt, however that ends.

Consumers outside a transaction, one by one; beside each other, in threads and on the event loop; and inside one.
"""

import asyncio
import contextlib
import time
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection

from outbox.delivery import chunks, execution, hard_end, starting
from outbox.delivery.time_limits import Call
from outbox.delivery.wide import hints
from outbox.delivery.wide.pool import Pool
from outbox.models import Exchange, Message
from tests.harness.messages import kept_attempts, publish_message, publish_messages, state_of
from tests.outbox.delivery.talking import ASKED, HEARD, said, talk
from tests.outbox.delivery.wide.conftest import wait_for
from tests.shop.models import Stock, Tag

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


@pytest.fixture
def pool(monkeypatch):
    made = Pool()
    monkeypatch.setattr(hints, "_pool", made)
    yield made
    made.end()


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


@pytest.mark.parametrize("wide", [False, True])
def test_what_was_said_after_the_message_was_settled_is_kept_as_well(listen, pool, wide):
    def settle_and_talk_on(message):
        message.record_exchange(request="order", answer="placed")
        with message.settling():
            Tag.objects.create(name="written")
        message.record_exchange(request="thank them", answer="with pleasure")

    listen(settle_and_talk_on, atomic=False, concurrency=2 if wide else 1)
    id = publish_message()

    if wide:
        pool.wake(chunks.registry.get("test.till"), [id])
        wait_for(lambda: len(said(id)) == 2)
    else:
        chunks.deliver("test.till", [id])

    assert said(id) == [(1, "order", "placed"), (1, "thank them", "with pleasure")]
    assert state_of(id).status == "success"


@pytest.mark.parametrize("atomic", [True, False])
def test_what_was_said_before_the_handler_ended_its_process_is_kept(listen, atomic):
    def talk_and_leave(message):
        talk(message)
        raise SystemExit(3)

    listen(talk_and_leave, atomic=atomic)
    id = publish_message()

    with pytest.raises(SystemExit):
        chunks.deliver("test.till", [id])

    assert said(id) == [(1, ASKED, HEARD)]
    assert state_of(id).status == "started"
