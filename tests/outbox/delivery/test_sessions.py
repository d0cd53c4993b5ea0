"""What a handler does to its session reaches no other message: not of its chunk, and not of a later hint."""

from collections import Counter
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection

from outbox import tasks
from outbox.delivery import chunks, sessions
from outbox.models import Attempt
from tests.harness.messages import publish_message, publish_messages, state_of, states_of
from tests.harness.pools import no_spare_sessions, pool_of
from tests.shop.consumers import leave_effect
from tests.shop.models import Effect

pytestmark = [pytest.mark.usefixtures("transactional_db", "dispatched"), pytest.mark.services]

SETTINGS = [
    ("search_path", "pg_catalog"),
    ("role", "pg_read_all_data"),
    ("statement_timeout", "9s"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_isolation", "serializable"),
    ("session_replication_role", "replica"),
    ("synchronous_commit", "local"),
    ("TimeZone", "Asia/Tokyo"),
    ("row_security", "off"),
]
SPARES = 3
"""How many sessions a pool keeps."""
SPOILS_ITS_OWN_SETTLE = {"search_path", "role"}
"""Under these nobody can write the message's success, so the message itself has failed."""


@pytest.fixture(autouse=True)
def _session_of_its_own():
    """Leave nothing of a test that failed on the session of the next."""
    with no_spare_sessions():
        yield
        connection.close()


def setting(name):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s, true)", [name])
        return cursor.fetchone()[0]


def change(name, value, *, local=False):
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, %s)", [name, value, local])


@pytest.mark.parametrize("position", [0, 9, 19])
@pytest.mark.parametrize("options", [{}, {"isolated": True}, {"atomic": False}, {"chunk": 1}], ids=str)
@pytest.mark.parametrize(("name", "value"), SETTINGS, ids=[name for name, _value in SETTINGS])
def test_a_setting_that_a_handler_leaves_behind_reaches_no_other_message(listen, name, value, options, position):
    seen = {}

    def handler(message):
        leave_effect(message)
        seen.setdefault(message.pk, []).append(setting(name))
        if message.pk == guilty:
            change(name, value)
            changed.append(setting(name))

    changed = []
    listen(handler, **options)
    first, *ids = publish_messages(21)
    guilty = ids[position]
    chunks.deliver("test.till", [first])  # a chunk has a statement_timeout of its own
    [before] = seen[first]

    chunks.deliver("test.till", ids)
    for id in ids:
        chunks.deliver("test.till", [id])
    later = publish_message()
    chunks.deliver("test.till", [later])

    neighbours = [id for id in (*ids, later) if id != guilty]
    assert changed[0] == value
    assert value != before
    assert {id: seen[id][-1] for id in neighbours} == dict.fromkeys(neighbours, before)
    assert {state.status for state in states_of(neighbours)} == {"success"}
    assert {state.attempt_limit - state.attempts for state in states_of(neighbours)} == {2}
    left = Counter(Effect.objects.values_list("message_id", flat=True))
    assert {left[id] for id in neighbours} == {1}
    if name not in SPOILS_ITS_OWN_SETTLE:
        assert state_of(guilty).status == "success"
        assert left[guilty] == 1


def test_a_setting_for_the_transaction_has_its_chunk_redone_one_by_one(listen, caplog):
    seen = {}

    def handler(message):
        leave_effect(message)
        seen[message.pk] = setting("TimeZone")
        change("TimeZone", "Asia/Tokyo", local=True)

    listen(handler)
    ids = publish_messages(5)

    chunks.deliver("test.till", ids)

    assert {state.status for state in states_of(ids)} == {"success"}
    assert set(seen.values()) == {"UTC"}
    assert Effect.objects.count() == 5
    assert Attempt.objects.count() == 0
    assert "a handler changed TimeZone = Asia/Tokyo (UTC) for those after it" in caplog.text
    assert "isolated=True" in caplog.text


def test_an_isolated_message_never_runs_as_the_tenant_of_another(listen):
    seen = {}

    def handler(message):
        seen[message.pk] = setting("shop.tenant")
        change("shop.tenant", f"tenant {message.pk}", local=True)
        leave_effect(message)

    listen(handler, isolated=True)
    ids = publish_messages(20)

    chunks.deliver("test.till", ids)

    assert {value or "" for value in seen.values()} == {""}
    assert sorted(seen) == ids
    assert {state.status for state in states_of(ids)} == {"success"}


@pytest.mark.parametrize("isolated", [True, False])
def test_a_temporary_table_of_one_message_is_no_failure_of_the_next(listen, isolated):
    def handler(message):
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE basket (id bigint) ON COMMIT DROP")
        leave_effect(message)

    listen(handler, isolated=isolated)
    ids = publish_messages(20)

    chunks.deliver("test.till", ids)

    assert {(state.status, state.attempts) for state in states_of(ids)} == {("success", 1)}
    assert Effect.objects.count() == 20
    assert Attempt.objects.count() == 0


def test_an_isolated_message_that_fails_takes_back_only_its_own_effects(listen):
    def handler(message):
        leave_effect(message)
        if message.pk == ids[1]:
            raise ValueError("the till is jammed")

    listen(handler, isolated=True)
    ids = publish_messages(3)

    chunks.deliver("test.till", ids)

    assert [state.status for state in states_of(ids)] == ["success", "pending", "success"]
    assert sorted(Effect.objects.values_list("message_id", flat=True)) == [ids[0], ids[2]]


def backend():
    connection.ensure_connection()
    return connection.connection.info.backend_pid


def test_a_session_that_has_grown_old_is_closed_between_two_hints(listen, monkeypatch):
    backends = []
    listen(lambda _message: backends.append(backend()))
    publish_then_deliver = lambda: tasks.run_deliver("test.till", [publish_message()])  # noqa: E731
    for _ in range(3):
        publish_then_deliver()
    now = sessions.monotonic()
    monkeypatch.setattr(sessions, "monotonic", lambda: now + timedelta(minutes=11).total_seconds())
    for _ in range(2):
        publish_then_deliver()

    assert backends[1] == backends[2]
    assert backends[3] != backends[2]
    assert backends[4] == backends[3]


@contextmanager
def administrator_sets(name, value):
    """Have new sessions of this database begin with another value; those that are open keep theirs."""
    with connection.cursor() as cursor:
        database = connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {database} RESET {name}")
        sessions.drop(connection)


def test_a_role_that_gets_other_settings_from_its_administrator_costs_one_session_and_no_more(listen):
    backends, usual = [], setting("synchronous_commit")
    listen(lambda _message: backends.append((backend(), setting("synchronous_commit"))))
    tasks.run_deliver("test.till", [publish_message()])
    with administrator_sets("synchronous_commit", "local"):
        sessions.drop(connection)
        for _ in range(3):
            tasks.run_deliver("test.till", [publish_message()])

    assert [value for _pid, value in backends] == [usual, "local", "local", "local"]
    assert backends[1] == backends[2] == backends[3]


def test_a_role_that_gets_other_settings_costs_every_session_of_a_pool_once(listen):
    backends = []
    listen(lambda _message: backends.append((backend(), setting("synchronous_commit"))))
    with pool_of(SPARES):
        for _ in range(SPARES):
            tasks.run_deliver("test.till", [publish_message()])
        with administrator_sets("synchronous_commit", "local"):
            sessions.drop(connection)
            for _ in range(4 * SPARES):
                tasks.run_deliver("test.till", [publish_message()])

    after = backends[SPARES:]
    values = [value for _pid, value in after]
    assert values == sorted(values, reverse=True), "an old session came after a new one"
    assert values[SPARES:] == ["local"] * 3 * SPARES
    assert set(after[2 * SPARES : 3 * SPARES]) == set(after[3 * SPARES :])


def test_a_setting_that_others_leave_on_a_session_of_a_pool_reaches_no_message(listen):
    seen = []
    listen(lambda _message: seen.append(setting("TimeZone")))
    with pool_of(SPARES):
        tasks.run_deliver("test.till", [publish_message()])
        for _ in range(2 * SPARES):
            change("TimeZone", "Asia/Tokyo")
            id = publish_message()
            connection.close()
            tasks.run_deliver("test.till", [id])

    assert set(seen) == {"UTC"}
    assert len(seen) == 2 * SPARES + 1


@pytest.mark.parametrize("other", [{"bulk": True}, {"atomic": False}], ids=str)
def test_isolated_goes_with_neither_bulk_nor_non_atomic(listen, other):
    with pytest.raises(Exception, match="isolated=True gives each message a transaction of its own"):
        listen(isolated=True, **other)
