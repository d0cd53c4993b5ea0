"""The engine's database is away, takes no writes or is full: nothing is spent."""

from datetime import timedelta

import pytest
from django.db import InternalError, connection

from outbox.delivery import chunks, database_errors, starting
from outbox.delivery.database_errors import Fault
from outbox.models import Message
from tests.harness.clock import let_pass
from tests.harness.messages import (
    effects,
    kept_attempts,
    publish_message,
    publish_messages,
    state_of,
    states_of,
)
from tests.harness.pools import no_spare_sessions
from tests.harness.threads import backend
from tests.outbox.delivery.down import (
    DOWN,
    FREE,
    ONCE,
    OWN_STATE,
    raise_state,
    refusing,
    run_sql,
    terminate_from_outside,
)
from tests.shop import consumers as shop

pytestmark = [pytest.mark.usefixtures("transactional_db", "dispatched"), pytest.mark.services]


@pytest.fixture
def away(waits):
    """Return a function that makes the database unable to do our work, until the engine waits for it."""
    todo, _done = waits
    back = (
        "ALTER DATABASE {name} RESET default_transaction_read_only",
        "ALTER DATABASE {name} ALLOW_CONNECTIONS true",
    )

    def go(how):
        run_sql(how)
        todo.append(lambda: run_sql(*back))
        terminate_from_outside(backend())

    with no_spare_sessions():
        yield go
        run_sql(*back)


READ_ONLY_FROM_NOW_ON = "ALTER DATABASE {name} SET default_transaction_read_only = on"
NOT_ANSWERING = "ALTER DATABASE {name} ALLOW_CONNECTIONS false"


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("how", [READ_ONLY_FROM_NOW_ON, NOT_ANSWERING])
def test_a_row_with_one_try_outlives_a_database_that_goes_away_and_comes_back(listen, waits, away, how, atomic):
    tries = []

    def handler(message):
        tries.append(message.pk)
        if len(tries) == 1:
            away(how)
        shop.leave_effect(message)

    listen(handler, retry=ONCE, atomic=atomic, timeout=timedelta(seconds=2))
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert len(waits[1]) == 1
    assert state_of(id)[:4] == FREE[:4]
    let_pass(timedelta(seconds=5))
    chunks.deliver("test.till", [id])
    assert state_of(id)[:4] == ("success", 2, 2, 0)
    assert effects() == [(id, 2)]
    assert [outcome for _number, outcome, _error in kept_attempts(id)] == ([] if atomic else ["unavailable"])


def test_all_rows_of_a_chunk_are_given_back_when_the_database_goes_away(listen, waits, away):
    tries = []

    def handler(message):
        tries.append(message.pk)
        if len(tries) == 2:
            away(READ_ONLY_FROM_NOW_ON)
        shop.leave_effect(message)

    listen(handler, retry=ONCE)
    ids = publish_messages(4)

    chunks.deliver("test.till", ids)

    assert len(waits[1]) == 1
    assert states_of(ids) == [FREE] * 4
    assert effects() == []


@pytest.mark.parametrize("code", DOWN)
def test_what_our_own_write_meets_as_well_spends_nothing(listen, code):
    tries = []

    def handler(message):
        tries.append(message.pk)
        raise_state(code)

    listen(handler, retry=ONCE)
    id = publish_message()
    with refusing(OWN_STATE, code):
        chunks.deliver("test.till", [id])
        chunks.deliver("test.till", [id])

    assert tries == [id] * 2
    assert state_of(id) == FREE
    assert kept_attempts(id) == []


def read_only_session():
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")


def test_rows_are_started_although_the_session_has_turned_read_only(listen):
    consumer = listen()
    id = publish_message()
    read_only_session()
    before = backend()

    rows = starting.start_named(consumer, [id])

    assert [row.id for row in rows] == [id]
    assert backend() != before


def test_a_session_that_is_read_only_where_a_new_one_is_not_is_closed():
    read_only_session()
    before = backend()
    with pytest.raises(InternalError) as met:
        Message.objects.update(sends=1)

    assert database_errors.judge(met.value) is Fault.SESSION
    assert backend() != before
    assert Message.objects.update(sends=1) == 0
