"""Message and hint share the fate of the caller's transaction."""

import asyncio
from contextlib import suppress

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction

from outbox import publish
from outbox.broker import dispatcher
from outbox.errors import OutsideTransaction
from tests.harness.messages import fields_of_all
from tests.shop.models import Stock

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_outside_a_transaction_is_refused(listen, dispatched):
    listen()

    with pytest.raises(OutsideTransaction, match=r"must be called inside transaction\.atomic"):
        publish("test.sold", key="one", payload={})

    assert fields_of_all("id") == []


def test_a_rollback_leaves_neither_business_row_nor_message_nor_hint(listen, dispatched):
    listen()

    with suppress(ZeroDivisionError), transaction.atomic():
        Stock.objects.create()
        publish("test.sold", key="one", payload={})
        raise ZeroDivisionError

    assert (Stock.objects.count(), fields_of_all("id"), dispatched) == (0, [], [])


def test_the_hint_leaves_only_after_the_commit_once_per_call(three, dispatched):
    with transaction.atomic():
        one = publish("test.sold", key="one", payload={})
        two = publish("test.sold", key="two", payload={})
        before = list(dispatched)

    assert before == []
    assert dispatched == [{"test.a": [ids[0]], "test.b": [ids[1]], "test.c": [ids[2]]} for ids in (one, two)]


def test_a_savepoint_that_rolls_back_takes_its_message_and_its_hint_along(listen, dispatched):
    listen()

    with transaction.atomic():
        (kept,) = publish("test.sold", key="kept", payload={})
        with suppress(ZeroDivisionError), transaction.atomic():
            publish("test.sold", key="dropped", payload={})
            raise ZeroDivisionError

    assert fields_of_all("key") == [("kept",)]
    assert dispatched == [{"test.till": [kept]}]


def test_a_dispatcher_that_fails_does_not_fail_the_request(listen, monkeypatch):
    def fail(_ids):
        raise RuntimeError("no dispatcher today")

    monkeypatch.setattr(dispatcher, "dispatch", fail)
    listen()
    later = []

    with transaction.atomic():
        publish("test.sold", key="one", payload={})
        transaction.on_commit(lambda: later.append("fired"))

    assert fields_of_all("key") == [("one",)]
    assert later == ["fired"]


def test_in_async_code_it_is_said_how_to_publish(listen):
    listen()

    async def view():
        publish("test.sold", key="one", payload={})

    with pytest.raises(SynchronousOnlyOperation, match=r"outbox\.publish\(\) .*sync_to_async"):
        asyncio.run(view())
