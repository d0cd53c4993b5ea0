"""The engine's database is away, takes no writes or is full: nothing is spent. What only looks like it is a failure."""

from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec

import psycopg2
import pytest
from django.db import InternalError, OperationalError, connection, connections, transaction

from outbox import Backoff
from outbox.delivery import chunks, database_errors, non_atomic, starting
from outbox.delivery.database_errors import Fault
from outbox.models import Message
from tests.harness.clock import let_pass
from tests.harness.messages import (
    MessageState,
    effects,
    kept_attempts,
    publish_message,
    publish_messages,
    state_of,
    states_of,
)
from tests.harness.pools import no_spare_sessions
from tests.harness.threads import backend, in_thread, terminate
from tests.shop import consumers as shop
from tests.shop.models import Tag

pytestmark = [pytest.mark.usefixtures("transactional_db", "dispatched"), pytest.mark.services]

ONCE = Backoff(limit=1)
DONE = MessageState("success", attempts=1, attempt_limit=1)
FREE = MessageState("pending", attempts=1, attempt_limit=2)
DOWN = ["08006", "25006", "53100", "53300", "57P01", "57P03", "58030"]
NOT_DOWN = ["25P01", "25P02", "53200", "57014"]
OWN_STATE = "outbox_consumerstate"


def raise_state(code):
    with connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END $$")


def run_sql(*statements):
    """Run statements from beside, on no session of the engine's, nor on this database."""
    settings = connection.settings_dict
    outside = psycopg2.connect(
        dbname="postgres",
        host=settings["HOST"],
        port=settings["PORT"] or None,
        user=settings["USER"],
        password=settings["PASSWORD"],
    )
    outside.autocommit = True
    with outside.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.format(name=f'"{settings["NAME"]}"'))
    outside.close()


@contextmanager
def refusing(table, code):
    """Have the server refuse every change of the table, even one of no rows."""
    planted = f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse()"""
    with connection.cursor() as cursor:
        cursor.execute(planted)
    try:
        yield
    finally:
        allow()


def allow():
    in_thread(lambda: connection.cursor().execute("DROP FUNCTION IF EXISTS refuse CASCADE"))


@pytest.fixture
def waits(monkeypatch):
    """What is done when the engine waits for the database, once each; the proof that it has waited."""
    todo, done = [], []

    def wait(_seconds):
        assert todo, "the engine waits, and nothing will bring the database back"
        step = todo.pop(0)
        step()
        done.append(step)

    monkeypatch.setattr(database_errors, "sleep", wait)
    return todo, done


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


def terminate_from_outside(pid):
    run_sql(f"SELECT pg_terminate_backend({pid}, 5000)")


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


def test_outside_a_session_that_is_ended_over_and_over_spends_tries_in_the_end(order, monkeypatch):
    monkeypatch.setattr(non_atomic, "FREE_IN_A_ROW", 2)
    keys = []

    def handler(message):
        keys.append(message.idempotency_key)
        terminate(backend())
        shop.leave_effect(message)

    order(handler, retry=ONCE)
    id = publish_message()

    seen = []
    for _ in range(3):
        chunks.deliver("test.till", [id])
        seen.append(state_of(id)[:3])
        let_pass(timedelta(minutes=1))

    assert seen == [("pending", 1, 2), ("pending", 2, 3), ("failed", 3, 3)]
    assert len(set(keys)) == 1
    assert [(number, outcome) for number, outcome, _error in kept_attempts(id)] == [
        (1, "unavailable"),
        (2, "unavailable"),
        (3, "failed"),
    ]
    assert kept_attempts(id)[0][2].startswith("interrupted: ")


@pytest.mark.parametrize("code", ["40P01", "40001"])
def test_a_conflict_in_the_settling_block_spends_nothing_and_the_key_stays(order, code):
    keys = []

    def handler(message):
        keys.append(message.idempotency_key)
        with message.settling():
            Tag.objects.create(name=f"order {len(keys)}")
            if len(keys) == 1:
                raise_state(code)

    order(handler, retry=ONCE)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id)[:4] == FREE[:4]
    let_pass(timedelta(minutes=1))
    chunks.deliver("test.till", [id])
    assert state_of(id)[:3] == ("success", 2, 2)
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert list(Tag.objects.values_list("name", flat=True)) == ["order 2"]


def test_a_handler_may_open_its_settling_block_again_after_a_conflict(order):
    def handler(message):
        try:
            with message.settling():
                raise_state("40P01")
        except OperationalError:
            with message.settling():
                Tag.objects.create(name="second")

    order(handler, retry=ONCE)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id) == DONE
    assert Tag.objects.count() == 1


def test_a_conflict_outside_the_settling_block_is_a_failed_attempt(order):
    order(lambda _message: raise_state("40P01"), retry=ONCE)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id)[:3] == ("failed", 1, 1)


@pytest.mark.parametrize("code", ["25006", "53100", "40P01"])
def test_what_a_vendor_answered_is_settled_once_the_database_takes_it(order, waits, code):
    calls = []
    todo, done = waits
    todo.append(allow)
    consumer = order(calls.append, retry=ONCE)
    id = publish_message()
    [row] = starting.start_named(consumer, [id])

    with refusing("outbox_message", code):
        non_atomic.handle(consumer, row.fence)

    assert len(done) == 1
    assert len(calls) == 1
    assert state_of(id) == DONE


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
