"""A handler is a stranger: whatever it does, its neighbours have one effect each, and it has one at the most.

Every case is what one message's handler does among 20, as the first, a middle one, the last and the only one.
PostgreSQL refuses no COMMIT here, as it does elsewhere: what ends a transaction is noticed all the same.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from outbox import Message
from outbox.conf import conf
from outbox.delivery import chunks
from outbox.models import Attempt
from tests.harness.clock import let_pass
from tests.harness.messages import publish_message, publish_messages, state_of
from tests.outbox.delivery.acts import ENDS, FAILS, ONLY_POSTGRESQL, Act, closes, effect, raises, sql
from tests.shop.models import Effect

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


@pytest.fixture(autouse=True)
def _somebody_listens(listen: Any) -> None:
    """What is published before its hostile handler is there needs a consumer."""
    listen()


@pytest.fixture(autouse=True)
def _no_commit_is_refused(transactional_db: None) -> Iterator[None]:
    switch("DISABLE")
    yield
    switch("ENABLE")


def switch(how: str) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE outbox_unsettled {how} TRIGGER outbox_unsettled_refuse_commit")


def deliver_all(guilty: int, ids: list[int], act: Act, listen: Any, **options: Any) -> None:
    def handler(work: Message | list[Message]) -> None:
        for message in work if isinstance(work, list) else [work]:
            if message.pk == guilty:
                act(message)
            else:
                effect(message)

    listen(handler, **options)
    left = ids
    for _try in range(6):
        chunks.deliver("test.till", left)
        for id in left:
            chunks.deliver("test.till", [id])
        left = list(Message.objects.filter(finished_at=None).order_by("pk").values_list("pk", flat=True))
        if not left:
            return
        let_pass(timedelta(minutes=5))


def check(guilty: int, ids: list[int]) -> None:
    """The oracle: effects as the table has them, against what the messages say."""
    left = Counter(Effect.objects.values_list("message_id", flat=True))
    neighbours = [id for id in ids if id != guilty]
    assert {id: (left[id], state_of(id).status) for id in neighbours} == dict.fromkeys(neighbours, (1, "success"))
    assert left[guilty] <= 1
    assert state_of(guilty).status == "failed"
    assert all(state_of(id).attempts == 1 + (state_of(id).attempt_limit - 3) for id in neighbours), "charged"
    # The process is as good as before.
    later = publish_message()
    chunks.deliver("test.till", [later])
    assert state_of(later).status == "success"
    assert connection.get_autocommit()
    assert not connection.in_atomic_block


@pytest.mark.parametrize("position", [0, 9, 19])
@pytest.mark.parametrize("act", ENDS.values(), ids=ENDS)
def test_who_ends_the_transaction_fails_at_once_and_costs_its_neighbours_nothing(listen, act, position):
    ids = publish_messages(20)

    deliver_all(ids[position], ids, act, listen)

    check(ids[position], ids)
    assert state_of(ids[position]).reason == "ended_transaction"
    assert Attempt.objects.get(message=ids[position], outcome="failed").may_have_acted


@pytest.mark.services
@pytest.mark.parametrize("position", [0, 9, 19])
@pytest.mark.parametrize("act", ONLY_POSTGRESQL.values(), ids=ONLY_POSTGRESQL)
def test_who_changes_the_transaction_for_another_fails_at_once(listen, act, position):
    ids = publish_messages(20)

    deliver_all(ids[position], ids, act, listen)

    check(ids[position], ids)
    assert state_of(ids[position]).reason == "ended_transaction"


@pytest.mark.parametrize("act", ENDS.values(), ids=ENDS)
def test_who_ends_the_transaction_of_a_chunk_of_one_fails_at_once(listen, act):
    guilty = publish_message()

    deliver_all(guilty, [guilty], act, listen)

    check(guilty, [guilty])
    assert (state_of(guilty).attempts, state_of(guilty).reason) == (1, "ended_transaction")


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK"])
def test_a_bulk_handler_that_ends_the_transaction_doubles_nothing(listen, statement):
    ids = publish_messages(20)

    deliver_all(ids[9], ids, sql(statement), listen, bulk=True)

    left = Counter(Effect.objects.values_list("message_id", flat=True))
    assert all(left[id] <= 1 for id in ids)
    assert [id for id in ids if state_of(id).status == "success" and left[id] != 1] == []
    assert {state_of(id).reason for id in ids if state_of(id).status == "failed"} == {"ended_transaction"}


@pytest.mark.parametrize("position", [0, 9, 19])
@pytest.mark.parametrize("act", FAILS.values(), ids=FAILS)
def test_whatever_a_handler_raises_or_leaves_open_is_a_failed_attempt_of_its_own(listen, act, position):
    ids = publish_messages(20)

    deliver_all(ids[position], ids, act, listen)

    check(ids[position], ids)
    assert state_of(ids[position]).attempts == 3
    assert state_of(ids[position]).reason == "no_tries_left"
    assert not Effect.objects.filter(message_id=ids[position]).exists()


@pytest.mark.parametrize("position", [0, 9, 19])
def test_a_handler_that_closes_the_connection_costs_its_neighbours_nothing(listen, position):
    ids = publish_messages(20)

    deliver_all(ids[position], ids, closes, listen)

    check(ids[position], ids)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_ends_a_process_ends_it_and_is_said(listen, error, caplog):
    guilty, other = publish_messages(2)

    with pytest.raises(error):
        deliver_all(guilty, [guilty, other], raises(error), listen)

    assert "ended its process" in caplog.text
    assert not Effect.objects.exists()


def leaves_autocommit_off(message: Message) -> None:
    effect(message)
    transaction.set_autocommit(False)


def leaves_a_transaction_open(message: Message) -> None:
    transaction.atomic().__enter__()
    effect(message)


@pytest.mark.parametrize("act", [leaves_autocommit_off, leaves_a_transaction_open])
def test_what_a_handler_outside_leaves_open_is_closed_and_a_failed_attempt(listen, act):
    ids = publish_messages(6)

    deliver_all(ids[2], ids, act, listen, atomic=False)

    neighbours = [id for id in ids if id != ids[2]]
    assert [state_of(id).status for id in neighbours] == ["success"] * 5
    assert state_of(ids[2]).status == "failed"
    assert state_of(ids[2]).last_error.startswith(
        f"LeftOpenError: the handler returned with a transaction open on {conf().database}"
    )
    assert connections[conf().database].get_autocommit()


def test_a_hook_that_fails_after_settling_leaves_a_success(listen, caplog):
    def hook() -> None:
        raise ValueError("the mail server is away")

    def order(message: Message) -> None:
        with message.settling():
            effect(message)
            transaction.on_commit(hook)

    listen(order, atomic=False)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id).status == "success"
    assert not Attempt.objects.filter(message=id).exists()
    assert "an on_commit hook failed" in caplog.text


def test_who_settles_twice_is_shown_beside_the_success(listen):
    def order(message: Message) -> None:
        with message.settling():
            effect(message)
        with message.settling():
            effect(message)

    listen(order, atomic=False)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id).status == "success"
    assert Effect.objects.count() == 1
    [kept] = Attempt.objects.filter(message=id)
    assert (kept.outcome, kept.error) == ("failed", "message.settling() was used before; a message is settled once")


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_hook_goes_with_the_attempt_that_failed(listen, position):
    ids = publish_messages(3)
    ran: list[int] = []

    def handler(message: Message) -> None:
        transaction.on_commit(lambda: ran.append(message.pk))
        if message.pk == ids[position]:
            raise ValueError("no")

    listen(handler)

    chunks.deliver("test.till", ids)

    assert ran == [id for id in ids if id != ids[position]]
