"""What only looks like a database that is away: a failed attempt, of which tries are spent."""

from datetime import timedelta
from importlib.util import find_spec

import pytest
from django.db import InternalError, OperationalError, connection, connections, transaction

from outbox.delivery import chunks
from tests.harness.messages import (
    publish_message,
    publish_messages,
    state_of,
)
from tests.harness.threads import terminate
from tests.outbox.delivery.down import DOWN, ONCE, OWN_STATE, raise_state, refusing
from tests.shop import consumers as shop

pytestmark = [pytest.mark.usefixtures("transactional_db", "dispatched"), pytest.mark.services]

NOT_DOWN = ["25P01", "25P02", "53200", "57014"]


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("code", [*DOWN, *NOT_DOWN])
def test_what_a_handler_alone_meets_is_a_failed_attempt(listen, code, atomic):
    tries = []

    def handler(message):
        tries.append(message.pk)
        raise_state(code)

    listen(handler, retry=ONCE, atomic=atomic, timeout=timedelta(seconds=2))
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id)[:4] == ("failed", 1, 1, 0)
    assert len(tries) <= 2


@pytest.mark.parametrize("code", NOT_DOWN)
def test_other_codes_are_no_sign_of_a_database_that_is_away_even_if_we_meet_them(listen, code):
    listen(lambda _message: raise_state(code), retry=ONCE)
    id = publish_message()

    with refusing(OWN_STATE, code):
        chunks.deliver("test.till", [id])

    assert state_of(id)[:3] == ("failed", 1, 1)


@pytest.mark.parametrize("atomic", [True, False])
def test_a_read_only_block_of_the_handlers_own_is_a_failed_attempt(listen, atomic):
    def handler(message):
        with transaction.atomic():
            connection.cursor().execute("SET TRANSACTION READ ONLY")
            shop.leave_effect(message)

    listen(handler, retry=ONCE, atomic=atomic, timeout=timedelta(seconds=2))
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id)[:3] == ("failed", 1, 1)
    assert "read-only transaction" in state_of(id).last_error


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("error", [OperationalError, InternalError])
def test_a_made_up_error_is_a_failed_attempt(listen, atomic, error):
    class Planted(Exception):
        sqlstate = pgcode = "57P01"

    def handler(_message):
        raise error("server closed the connection") from Planted()

    listen(handler, retry=ONCE, atomic=atomic, timeout=timedelta(seconds=2))
    id = publish_message()

    with refusing(OWN_STATE, "57P01"):
        chunks.deliver("test.till", [id])

    assert state_of(id)[:3] == ("failed", 1, 1)


@pytest.fixture(params=["plain", "pooled"])
def beside(request):
    """Another alias, on the same database; its sessions may come from a pool."""
    options = {}
    if request.param == "pooled":
        if not find_spec("psycopg_pool"):
            pytest.skip("psycopg 3 is not installed here; make lane runs it")
        options = {"OPTIONS": {"pool": {"min_size": 1, "max_size": 2}}, "CONN_MAX_AGE": 0}
    connections.databases["beside"] = {**connections.databases["default"], **options}
    yield "beside"
    connections["beside"].close()
    if request.param == "pooled":
        connections["beside"].close_pool()
    del connections["beside"]
    del connections.databases["beside"]


def read(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("isolated", [False, True])
def test_another_alias_that_breaks_in_a_row_fails_no_row_after_it(listen, beside, isolated):
    def handler(message):
        pid = read(beside)
        if message.pk == ids[2]:
            terminate(pid)
            read(beside)

    listen(handler, retry=ONCE, isolated=isolated)
    ids = publish_messages(50)

    chunks.deliver("test.till", ids)

    assert [id for id in ids if state_of(id).status != "success"] == [ids[2]]
    assert state_of(ids[2])[:3] == ("failed", 1, 1)


def test_another_alias_that_is_down_is_a_failed_attempt(listen, beside):
    connections.databases[beside]["PORT"] = "1"
    listen(lambda _message: read(beside), retry=ONCE)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id)[:3] == ("failed", 1, 1)
