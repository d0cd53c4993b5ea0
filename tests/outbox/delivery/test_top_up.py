"""What a hint takes in beside what it names: a chunk at rest, all there is in a backlog, nothing beside a lost row."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from outbox import tasks
from outbox.delivery import chunks, starting
from tests.harness.clock import let_pass
from tests.harness.messages import (
    MessageState,
    effects,
    publish_message,
    publish_messages,
    set_message,
    state_of,
    states_of,
)

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


NEW = MessageState("pending", attempts=0, attempt_limit=3)


DONE = MessageState("success", attempts=1, attempt_limit=3)


def test_a_hint_of_one_row_is_topped_up_from_the_table(listen):
    listen()
    ids = publish_messages(10)

    chunks.deliver("test.till", ids[:1])

    assert states_of(ids) == [DONE] * 10
    assert effects() == [(id, 1) for id in ids]


@pytest.mark.parametrize("named", [0, 1])
def test_a_hint_takes_a_chunk_of_what_is_due_first_beside_what_it_names(listen, one_chunk, named):
    listen(chunk=4)
    ids = publish_messages(10)
    let_pass(timedelta(seconds=10), *ids[5:])

    chunks.deliver("test.till", ids[:named])

    assert states_of(ids) == [DONE] * named + [NEW] * (5 - named) + [DONE] * 4 + [NEW]


def test_what_others_have_taken_of_a_whole_chunk_is_made_up_for_in_the_same_transaction(listen, one_chunk):
    together = []
    till = listen(lambda messages: together.append([message.pk for message in messages]), bulk=True, chunk=4)
    ids = publish_messages(8)
    starting.start_named(till, ids[:2])

    chunks.deliver("test.till", ids[:4])

    assert together[0] == ids[2:6]


def test_in_a_backlog_a_hint_goes_on_until_nothing_is_left(listen, dispatched):
    listen(chunk=4)
    ids = publish_messages(30)
    dispatched.clear()

    chunks.deliver("test.till", ids[:4])

    assert states_of(ids) == [DONE] * 30
    assert dispatched == []


def test_a_hint_whose_time_is_up_sends_another_in_its_place(listen, dispatched, one_chunk):
    listen(chunk=4)
    ids = publish_messages(12)
    dispatched.clear()

    chunks.deliver("test.till", ids[:1])
    first = list(dispatched)
    tasks.run_deliver("test.till", [])

    assert first == [{"test.till": ()}]
    assert states_of(ids) == [DONE] * 9 + [NEW] * 3
    assert dispatched == [{"test.till": ()}] * 2


def test_a_hint_for_a_lost_row_does_nothing_else_and_sends_no_other(listen, dispatched):
    listen(chunk=4)
    ids = publish_messages(6)
    set_message(ids[0], lost=1)
    dispatched.clear()

    chunks.deliver("test.till", ids[:1])

    assert states_of(ids) == [DONE] + [NEW] * 5
    assert dispatched == []


def test_a_top_up_leaves_what_is_not_due_soon_lost_held_by_others_or_of_another_consumer(listen):
    till = listen()
    listen(topic="test.other", name="test.other")
    named, later, waiting, lost, started, other = *publish_messages(5), publish_message("test.other")
    set_message(later, due_at=Now() + timedelta(seconds=20))
    set_message(waiting, not_before=Now() + timedelta(seconds=3))
    set_message(lost, lost=1)
    starting.start_named(till, [started])
    before = states_of([later, waiting, lost, started, other])

    chunks.deliver("test.till", [named])

    assert state_of(named) == DONE
    assert states_of([later, waiting, lost, started, other]) == before


def test_a_lost_row_starts_alone_without_a_top_up(listen):
    listen()
    lost, other = publish_messages(2)
    set_message(lost, lost=1)

    chunks.deliver("test.till", [lost])

    assert states_of([lost, other]) == [DONE, NEW]


def test_a_lost_row_is_not_started_by_a_hint_of_several(listen):
    listen()
    lost, other = publish_messages(2)
    set_message(lost, lost=1)

    chunks.deliver("test.till", [lost, other])

    assert states_of([lost, other]) == [NEW._replace(lost=1), DONE]
