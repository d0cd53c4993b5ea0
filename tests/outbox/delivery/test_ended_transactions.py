"""PostgreSQL refuses what a handler would commit by itself.

Where it cannot, what was committed is settled, even if the database goes away in between.
"""

import pytest
from django.db import Error, connection

from outbox.delivery import chunks
from outbox.models import Message
from outbox.models.sql import statements
from tests.harness.messages import effects, publish_messages, state_of
from tests.harness.threads import backend, in_thread, terminate
from tests.shop.consumers import leave_effect
from tests.shop.models import Effect

pytestmark = [pytest.mark.usefixtures("transactional_db", "dispatched"), pytest.mark.services]


@pytest.fixture
def session_ends_before(monkeypatch):
    """Return a function after which one call of a statement of ours meets a session that has just been ended."""
    ended = []

    def end_before(name):
        ask = getattr(statements, name)

        def end_then_ask(*args, **kwargs):
            if armed and name not in ended:
                ended.append(name)
                terminate(backend())
            return ask(*args, **kwargs)

        monkeypatch.setattr(statements, name, end_then_ask)

    armed = []
    end_before.armed, end_before.ended = armed, ended
    return end_before


def test_rows_before_a_foreign_commit_have_one_effect_though_sessions_end_before_they_are_settled(
    listen, session_ends_before
):
    def handler(message):
        leave_effect(message)
        if message.pk == ids[2]:
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute("COMMIT")
            session_ends_before.armed.append(True)

    listen(handler)
    ids = publish_messages(5)
    for name in ("was_committed", "lock", "succeed"):
        session_ends_before(name)

    chunks.deliver("test.till", ids)

    assert sorted(session_ends_before.ended) == ["lock", "succeed", "was_committed"]
    assert effects() == [(id, 1) for id in ids]
    assert state_of(ids[2]).reason == "ended_transaction"
    assert set(Message.objects.exclude(pk=ids[2]).values_list("status", "attempts")) == {("success", 1)}


def by_sql(*statements):
    def commit():
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return commit


def by_the_drivers_block():
    with connection.connection:
        leave_effect(Message.objects.latest("pk"))


COMMITS = {
    "COMMIT": by_sql("COMMIT"),
    "END": by_sql("END"),
    "COMMIT AND CHAIN": by_sql("COMMIT AND CHAIN"),
    "COMMIT in one string with others": by_sql("SELECT 1; /* so */ cOmMiT; SELECT 1"),
    "COMMIT under another search path": by_sql("SET LOCAL search_path = pg_catalog", "COMMIT"),
    "the driver's commit": lambda: connection.connection.commit(),
    "the driver's block": by_the_drivers_block,
}


@pytest.mark.parametrize("bulk", [False, True], ids=["in turn", "bulk"])
@pytest.mark.parametrize("commit", COMMITS.values(), ids=COMMITS)
def test_a_commit_is_refused_so_a_kill_behind_it_leaves_no_effect(listen, commit, bulk):
    seen = []

    def handler(work):
        messages = work if bulk else [work]
        for message in messages:
            leave_effect(message)
        if ids[2] in [message.pk for message in messages]:
            try:
                commit()
            except (Error, connection.Database.Error) as error:
                # A kill would come here, and leave what others see now.
                seen.append((in_thread(Effect.objects.count), str(error)))

    listen(handler, bulk=bulk)
    ids = publish_messages(5)

    chunks.deliver("test.till", ids)
    for id in ids:
        chunks.deliver("test.till", [id])

    assert [effects for effects, _error in seen] == [0] * len(seen)
    assert {"must not commit" in error for _effects, error in seen} == {True}
    assert effects() == [(id, 1) for id in ids if state_of(id).status == "success"]
    assert state_of(ids[2]).reason == "ended_transaction"


def test_a_handler_may_have_its_constraints_looked_at_at_once(listen):
    def handler(message):
        leave_effect(message)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")

    listen(handler)
    ids = publish_messages(3)

    chunks.deliver("test.till", ids)

    assert effects() == [(id, 1) for id in ids]
    assert {state_of(id).status for id in ids} == {"success"}


def test_no_transaction_is_noted_once_it_is_over(listen):
    def handler(message):
        if message.pk % 2:
            raise ValueError("odd")

    listen(handler)
    before = noted()

    chunks.deliver("test.till", publish_messages(5))
    chunks.deliver("test.till", [publish_messages(1)[0] + 10**6])
    chunks.deliver("test.till", publish_messages(1))

    assert noted() == before


def noted():
    with connection.cursor() as cursor:
        cursor.execute("SELECT number FROM outbox_unsettled")
        return set(cursor.fetchall())
