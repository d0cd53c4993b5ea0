"""Bulk consumers that report on each message, outside a transaction and inside one."""

from datetime import timedelta

import pytest

from outbox import Reject, Snooze
from outbox.delivery import chunks
from outbox.models import Message
from tests.harness.messages import effects, kept_attempts, publish_message, publish_messages, state_of, states_of
from tests.outbox.delivery.wide.conftest import all_are, wait_for
from tests.shop.models import Effect

pytestmark = pytest.mark.usefixtures("dispatched")


def test_one_call_is_made_for_many_messages(listen, deliver):
    lists = []
    till = listen(lambda messages: lists.append(len(messages)), atomic=False, bulk=True, chunk=10)
    ids = publish_messages(25)

    deliver(till, ids)

    wait_for(all_are("success", ids))
    assert sorted(lists) == [5, 10, 10]


def test_what_is_reported_for_one_message_touches_no_other(listen, deliver):
    def handler(messages):
        for message in messages:
            if message.payload.get("do") == "fail":
                message.report(ValueError("no such account"))
            elif message.payload.get("do") == "reject":
                message.report(Reject("closed"))
            elif message.payload.get("do") == "snooze":
                message.report(Snooze(timedelta(seconds=9)))

    till = listen(handler, atomic=False, bulk=True, chunk=10)
    ids = [*publish_messages(3), *(publish_message(do=do) for do in ("fail", "reject", "snooze"))]

    deliver(till, ids)

    wait_for(all_are("success", ids[:3]))
    wait_for(lambda: all(kept_attempts(id) for id in ids[3:]))
    assert [kept_attempts(id)[0][1:] for id in ids[3:]] == [
        ("failed", "ValueError: no such account"),
        ("rejected", "Reject: closed"),
        ("snoozed", "Snooze: not ready, again in 0:00:09"),
    ]


def test_what_was_reported_as_done_stands_when_the_handler_fails_later(listen, deliver):
    def handler(messages):
        messages[0].report()
        raise ValueError("the line broke")

    till = listen(handler, atomic=False, bulk=True, chunk=10)
    ids = publish_messages(3)

    deliver(till, ids)

    wait_for(all_are("success", ids[:1]))
    wait_for(lambda: all(kept_attempts(id) for id in ids[1:]))
    assert [kept_attempts(id) for id in ids[1:]] == [[(1, "failed", "ValueError: the line broke")]] * 2


def test_an_async_handler_is_given_a_list_too(listen, deliver):
    async def handler(messages):
        messages[1].report(ValueError("no such account"))

    till = listen(handler, atomic=False, bulk=True, chunk=10)
    ids = publish_messages(3)

    deliver(till, ids)

    wait_for(all_are("success", [ids[0], ids[2]]))
    wait_for(lambda: kept_attempts(ids[1]))


def test_inside_the_transaction_one_bad_message_does_not_turn_the_list_into_lists_of_one(listen, transactional_db):
    lists = []

    def handler(messages):
        lists.append(len(messages))
        good = [message for message in messages if message.payload.get("do") != "fail"]
        for message in messages:
            if message not in good:
                message.report(ValueError("no such account"))
        Effect.objects.bulk_create(
            Effect(key=message.key, message_id=message.pk, attempt=message.attempts, pid=0) for message in good
        )

    listen(handler, bulk=True)
    ids = [*publish_messages(3), publish_message(do="fail")]

    chunks.deliver("test.till", ids)

    assert lists == [4]
    assert [state.status for state in states_of(ids)] == ["success"] * 3 + ["pending"]
    assert sorted(effects()) == [(id, 1) for id in ids[:3]]
    assert kept_attempts(ids[3]) == [(1, "failed", "ValueError: no such account")]


def test_a_report_that_is_no_error_is_the_handlers_own_mistake(listen, transactional_db):
    listen(lambda messages: messages[0].report("bad"), bulk=True)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id).status == "pending"
    assert "takes an exception" in kept_attempts(id)[0][2]


def test_only_a_bulk_handler_reports(listen, transactional_db):
    listen(lambda message: message.report(), atomic=False)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert "message.report() is for consumers with bulk=True" in kept_attempts(id)[0][2]


@pytest.mark.parametrize("atomic", [True, False])
def test_a_plain_message_outside_its_delivery_is_neither_settled_nor_reported(listen, transactional_db, atomic):
    listen(atomic=atomic)
    publish_message()
    with pytest.raises(RuntimeError, match="is for consumers with bulk=True, while their messages are delivered"):
        Message.objects.get().report()
