"""Connections that break while idle or in the middle of a handler: the work is redone and costs nothing."""

from collections.abc import Iterator

import pytest
from django.db import connection, connections

from outbox import tasks
from outbox.delivery import chunks
from outbox.models import Attempt
from tests.harness.messages import (
    MessageState,
    effects,
    publish_message,
    publish_messages,
    state_of,
    states_of,
)
from tests.harness.threads import backend, terminate
from tests.outbox.delivery.faults import noting
from tests.shop import consumers as shop

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


DONE = MessageState("success", attempts=1, attempt_limit=3)


@pytest.mark.services
def test_a_connection_that_broke_while_idle_heals_at_the_next_start(listen):
    listen()
    id = publish_message()
    terminate(backend())

    chunks.deliver("test.till", [id])

    assert state_of(id) == DONE
    assert effects() == [(id, 1)]


@pytest.mark.services
def test_a_connection_that_breaks_in_mid_handler_leads_to_a_redo(listen, faults):
    tries = []

    def work(message):
        tries.append(message.pk)
        if message.payload.get("cut") and tries.count(message.pk) == 1:
            terminate(backend())
            connection.cursor().execute("SELECT 1")

    listen(noting(faults, work))
    before, cut, after = publish_message(), publish_message(cut=True), publish_message()

    chunks.deliver("test.till", [before, cut, after])

    assert len(faults) == 1
    assert tries[:2] == [before, cut]
    assert sorted(tries[2:]) == [before, cut, after]
    assert states_of([before, cut, after]) == [DONE] * 3
    assert effects() == [(before, 1), (cut, 1), (after, 1)]
    assert Attempt.objects.count() == 0


@pytest.mark.services
def test_a_connection_that_breaks_unnoticed_by_the_handler_leads_to_a_redo(listen):
    tries = []

    def handler(message):
        tries.append(message.pk)
        shop.leave_effect(message)
        if len(tries) == 1:
            terminate(backend())

    listen(handler)
    ids = publish_messages(2)

    chunks.deliver("test.till", ids)

    assert tries[0] == ids[0]
    assert sorted(tries[1:]) == ids
    assert states_of(ids) == [DONE] * 2
    assert effects() == [(id, 1) for id in ids]


@pytest.fixture
def beside() -> Iterator[str]:
    """Another alias, on the same database."""
    connections.databases["beside"] = {**connections.databases["default"]}
    yield "beside"
    connections["beside"].close()
    del connections["beside"]
    del connections.databases["beside"]


@pytest.mark.services
def test_another_alias_whose_session_was_ended_costs_no_message_anything(listen, beside, one_chunk):
    def reads_both(message):
        with connections[beside].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            sessions.append(cursor.fetchone()[0])

    sessions: list[int] = []
    listen(reads_both, chunk=1)
    ids = publish_messages(4)
    for id in ids[:2]:
        tasks.run_deliver("test.till", [id])
    terminate(sessions[1])

    for id in ids[2:]:
        tasks.run_deliver("test.till", [id])

    assert states_of(ids) == [DONE] * 4
    assert sessions[2] not in sessions[:2]
    assert sessions[3] == sessions[2]
    assert Attempt.objects.count() == 0
