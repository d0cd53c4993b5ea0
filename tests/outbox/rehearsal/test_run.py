"""Rehearsals in a process of their own, on a committed database: what they find, and that they leave nothing."""

import pytest
from django.core.cache import cache
from django.db import connection, connections

from outbox.errors import NotRehearsable
from outbox.models import Message
from outbox.operate.patch import Patch
from outbox.rehearsal import run
from outbox.rehearsal.results import Outcome, Result, Summary
from tests.harness.messages import publish_failed
from tests.harness.program import eventually
from tests.harness.threads import held
from tests.shop.models import Effect, Stock, Tag

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched")]
CONSUMER = "shop.try_out"
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"


def failed(do: str = "", **payload: object) -> int:
    return publish_failed("shop.tried", do=do, **payload)


def contents() -> dict[str, str]:
    """Return a digest of what each table of the database has."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        tables = [name for (name,) in cursor.fetchall()]
        digests = {}
        for table in tables:
            cursor.execute(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} AS t")
            [digests[table]] = cursor.fetchone()
    return digests


def nobody_has_the_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711)")
        return bool(cursor.fetchone()[0])


def outcomes(ids: list[int]) -> dict[int, Result]:
    """Rehearse these and return what each came to."""
    return {result.message_id: result for result in run.rehearse(CONSUMER, ids)}


def test_each_message_is_called_by_today_s_code_and_nothing_of_it_stays():
    Tag.objects.create(name="taken")
    kinds = ["", "fail", "reject", "snooze", "unavailable", "fail at COMMIT", "publish", "hook", "cache", "celery"]
    ids = [failed(do) for do in kinds]
    before = contents()

    results = outcomes(ids)

    assert contents() == before
    assert [results[id].outcome for id in ids] == [
        *[Outcome.SUCCESS, Outcome.FAILED, Outcome.FAILED, Outcome.PUT_OFF, Outcome.PUT_OFF, Outcome.FAILED],
        *[Outcome.SUCCESS] * 4,
    ]
    assert "the till is jammed" in results[ids[1]].error
    assert "shop_tag_once" in results[ids[5]].error
    assert cache.get("rehearsed") is None


REFUSED = {
    "socket": "connects to the network",
    "socket, swallowed": "connects to the network",
    "file": "writes a file",
    "process": "starts a process",
    "thread": "uses a database in another thread",
    "connection": "opens a database connection of its own",
}


def test_what_no_rollback_undoes_is_refused_and_said():
    ids = [failed(do) for do in REFUSED]
    before = contents()

    results = outcomes(ids)

    assert [results[id].outcome for id in ids] == [Outcome.REFUSED] * len(REFUSED)
    assert [results[id].error for id in ids] == [
        f"the handler {what}, which no rollback undoes" for what in REFUSED.values()
    ]
    assert contents() == before


def test_a_handler_that_ends_its_transaction_has_failed_and_leaves_nothing():
    ids = [failed(do) for do in ["", "COMMIT", "", "ROLLBACK", ""]]

    results = outcomes(ids)

    well, ended = Outcome.SUCCESS, Outcome.FAILED
    assert [results[id].outcome for id in ids] == [well, ended, well, ended, well]
    assert all(results[id].error.startswith("the handler ended the transaction") for id in [ids[1], ids[3]])
    assert not Effect.objects.exists()


def test_a_handler_that_harms_its_process_has_failed_and_the_others_are_rehearsed():
    ids = [failed(do, seconds=8) for do in ["", "exit", "", "kill", "sleep", ""]]

    results = outcomes(ids)

    well, harmed = Outcome.SUCCESS, Outcome.FAILED
    assert [results[id].outcome for id in ids] == [well, harmed, well, harmed, harmed, well]
    assert results[ids[1]].error.startswith("the process ended (exit status 3)")
    assert results[ids[3]].error.startswith("the process ended (signal 9)")
    assert "took longer than its timeout" in results[ids[4]].error
    assert not Effect.objects.exists()


def test_what_somebody_else_holds_is_busy_and_what_is_settled_is_gone():
    ids = [failed(), failed("wait for a lock"), failed(), failed(), failed()]
    Message.objects.filter(pk=ids[2]).update(status="success", resolution="handled", exhausted_at=None)
    Message.objects.filter(pk=ids[3]).delete()
    Stock.objects.create()
    with held(Stock.objects.select_for_update(), Message.objects.select_for_update().filter(pk=ids[4])):
        results = outcomes(ids)

    well, busy, gone = Outcome.SUCCESS, Outcome.BUSY, Outcome.GONE
    assert [results[id].outcome for id in ids] == [well, busy, gone, gone, busy]


def test_a_session_ends_with_its_chunk_and_other_databases_refuse_what_is_written(monkeypatch):
    monkeypatch.setitem(connections.settings, "beside", connections.settings["default"])
    ids = [failed(do) for do in ["advisory lock", "setting", "another database"]]

    results = outcomes(ids)

    assert [results[id].outcome for id in ids] == [Outcome.SUCCESS, Outcome.SUCCESS, Outcome.FAILED]
    assert "read-only" in results[ids[2]].error
    assert not Effect.objects.exists()
    eventually(nobody_has_the_lock, within=10, what="the session of the rehearsal has ended")


def test_a_patch_is_tried_before_any_message_is_changed():
    ids = [failed("fail"), failed()]
    Message.objects.filter(pk=ids[1]).update(payload=["no object"])
    before = contents()

    results = list(run.rehearse(CONSUMER, ids, patch=Patch(rename={"do": "did"})))

    assert [result.outcome for result in results] == [Outcome.SUCCESS, Outcome.FAILED]
    assert "The payload has no object for" in results[1].error
    assert contents() == before


def test_one_chunk_together_shows_what_the_messages_take_from_each_other():
    ids = [failed("fail at COMMIT") for _ in range(3)]

    alone = Summary.of(run.rehearse(CONSUMER, ids))
    together = run.rehearse_together(CONSUMER, ids)

    assert alone.counts == {Outcome.SUCCESS: 3}
    assert together == (1, 3)
    assert not Tag.objects.exists()


def test_failures_are_grouped_by_what_they_have_in_common():
    ids = [failed(do) for do in ["fail", "", "fail", "reject", "socket"]]

    summary = Summary.of(run.rehearse(CONSUMER, ids))

    assert summary.counts == {Outcome.SUCCESS: 1, Outcome.FAILED: 3, Outcome.REFUSED: 1}
    assert [group.ids for group in summary.groups] == [[ids[0], ids[2]], [ids[3]], [ids[4]]]


def test_a_consumer_that_has_not_promised_it_is_not_rehearsed():
    with pytest.raises(NotRehearsable, match=r"shop\.book has not promised that a rollback undoes"):
        list(run.rehearse("shop.book", [1]))
    with pytest.raises(NotRehearsable, match=r"no consumer named shop\.nobody"):
        list(run.rehearse("shop.nobody", [1]))


def test_a_child_that_cannot_begin_is_said_with_what_it_said(monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.no_such_settings")

    with pytest.raises(NotRehearsable, match=r"(?s)exit status 1.*No module named 'tests.no_such_settings'"):
        list(run.rehearse(CONSUMER, [failed()]))
