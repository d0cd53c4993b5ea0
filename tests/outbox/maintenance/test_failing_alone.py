"""What goes wrong for one consumer in a pass is noted, and the others are served."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import connection

from outbox import Backoff
from outbox.maintenance import recovery, rescan
from outbox.maintenance.rescan import RescanResult
from outbox.models import Heartbeat
from tests.harness.clock import let_pass
from tests.harness.messages import publish_message, publish_messages, state_of, states_of
from tests.harness.plans import query
from tests.outbox.maintenance.crashes import start_and_crash

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


@dataclass(frozen=True)
class BrokenBackoff(Backoff):
    """A host's own wait, with a fault in it."""

    def wait(self, *_args: object, **_kwargs: object) -> timedelta:
        raise ZeroDivisionError("no such wait")


@pytest.fixture
def refused_rows():
    """Have PostgreSQL refuse every change of the rows with one business id."""
    query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'the disk says no' USING DETAIL = 'secret', ERRCODE = 'check_violation'; END$$"
    )
    query(
        "CREATE TRIGGER refuse BEFORE UPDATE ON outbox_message FOR EACH ROW WHEN (NEW.key = 'bad') "
        "EXECUTE FUNCTION refuse()"
    )
    yield
    query("DROP TRIGGER refuse ON outbox_message")
    query("DROP FUNCTION refuse")


def test_a_consumer_whose_lost_rows_cannot_be_brought_back_keeps_none_from_it(listen, link):
    names = ["test.till", "test.a", "test.b"]
    for name in names:
        listen(topic=name, name=name, retry=BrokenBackoff() if name == "test.a" else Backoff())
    ids = [publish_message(name) for name in names]
    for _ in range(2):  # the first loss is free and asks for no wait
        for name, id in zip(names, ids, strict=True):
            if state_of(id).status == "pending":
                start_and_crash(name, id)
        result = rescan.rescan()

    assert result.failing == {"test.a": "ZeroDivisionError: no such wait"}
    assert [state.status for state in states_of(ids)] == ["pending", "started", "pending"]
    assert Heartbeat.objects.get(name="rescan").data["failing"] == result.failing


@pytest.mark.services
def test_a_bad_row_keeps_neither_another_consumer_nor_the_other_rows_of_its_own_from_coming_back(
    listen, link, refused_rows
):
    for name in ("test.till", "test.a"):
        listen(topic=name, name=name)
    good, other = publish_message("test.till"), publish_message("test.a")
    bad = publish_message("test.till")
    for name, id in (("test.till", bad), ("test.till", good), ("test.a", other)):
        start_and_crash(name, id)
    _make_bad(bad)

    first, second = recovery.recover_all(["test.till", "test.a"]), recovery.recover_all(["test.till", "test.a"])

    assert first.lost == 2
    assert [state.status for state in states_of([bad, good, other])] == ["started", "pending", "pending"]
    assert first.failing == second.failing == {"test.till": "IntegrityError: the disk says no"}


@pytest.mark.services
def test_a_consumer_whose_rows_cannot_be_claimed_keeps_no_other_from_sending(listen, link, refused_rows):
    for name in ("test.till", "test.a", "test.b"):
        listen(topic=name, name=name)
    ids = [publish_message("test.a"), publish_message("test.b")]
    bad = publish_message("test.till")
    let_pass(timedelta(seconds=6))
    _make_bad(bad)

    result = rescan.rescan()

    assert result == RescanResult(sent=2, failing={"test.till": "IntegrityError: the disk says no"})
    assert sorted(link.sent_ids) == [(id,) for id in ids]


@pytest.mark.services
def test_a_search_that_fails_for_all_keeps_nothing_from_being_sent(listen, link, monkeypatch):
    def time_out(_names: object) -> object:
        return query("SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)")

    listen()
    publish_message()
    let_pass(timedelta(seconds=6))
    monkeypatch.setattr(recovery, "search", time_out)

    result = rescan.rescan()

    assert result.sent == 1
    assert list(result.failing) == [""]
    assert "statement timeout" in result.failing[""]


def test_the_same_error_is_not_logged_in_every_pass(listen, link, caplog):
    listen()
    publish_message()
    let_pass(timedelta(seconds=6))
    link.depths["test.till"] = "deep"

    results = [rescan.rescan() for _ in range(3)]
    link.depths["test.till"] = None
    rescan.rescan()

    assert [list(result.failing) for result in results] == [["test.till"]] * 3
    assert [record.message for record in caplog.records] == ["the rescan failed for test.till"] * 2


def test_a_queue_whose_depth_cannot_be_read_is_its_own_trouble(listen, link):
    for name in ("test.till", "test.a"):
        listen(topic=name, name=name)
    publish_messages(1, "test.till")
    other = publish_message("test.a")
    let_pass(timedelta(seconds=6))
    link.depths["test.till"] = "deep"

    result = rescan.rescan()

    assert link.sent_ids == [(other,)]
    assert list(result.failing) == ["test.till"]


@pytest.mark.services
def test_a_database_connection_that_broke_is_everybody_s_trouble(listen, link, monkeypatch):
    def lose(_names: object) -> object:
        return query("SELECT pg_terminate_backend(pg_backend_pid())")

    listen()
    publish_message()
    monkeypatch.setattr(recovery, "search", lose)

    with pytest.raises(Exception, match="terminat"):
        rescan.rescan()

    connection.close()
    assert not Heartbeat.objects.filter(name="rescan").exists()


def _make_bad(id: int) -> None:
    query("ALTER TABLE outbox_message DISABLE TRIGGER refuse")
    query("UPDATE outbox_message SET key = 'bad' WHERE id = %s", id)
    query("ALTER TABLE outbox_message ENABLE TRIGGER refuse")
