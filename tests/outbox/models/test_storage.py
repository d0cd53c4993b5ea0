"""How PostgreSQL stores the message table: claims by an index that stays small, starts that touch no index."""

import re

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from outbox.delivery import chunks, starting
from outbox.maintenance import rescan
from outbox.models import Message
from tests.harness.messages import publish_message, publish_messages, set_message
from tests.harness.plans import plan, query, selects

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched")]


def test_the_claim_uses_the_index_of_what_is_due_among_a_hundred_thousand_finished_rows(many_finished, link):
    with CaptureQueriesContext(connection) as captured:
        sweep = rescan.rescan()

    (claim,) = [sql for sql in selects(captured, "FOR NO KEY UPDATE") if '"sends"' in sql and "lease_until" not in sql]
    assert sweep.sent == 200
    assert "Index Scan using outbox_message_due on outbox_message" in plan(claim)
    assert "Seq Scan on outbox_message" not in plan(claim)


def test_no_statement_of_a_pass_reads_the_whole_table(many_finished, link):
    with CaptureQueriesContext(connection) as captured:
        rescan.rescan()

    statements = selects(captured, "outbox_message")
    assert len(statements) >= 5
    assert [sql for sql in statements if "Seq Scan on outbox_message" in plan(sql)] == []


def test_a_start_with_its_top_up_uses_the_indexes_among_a_hundred_thousand_finished_rows(many_finished, one_chunk):
    _till, ids = many_finished

    with CaptureQueriesContext(connection) as captured:
        chunks.deliver("test.till", ids[:1])

    named, top_up = selects(captured, "SKIP LOCKED")
    assert Message.objects.filter(pk__in=ids, status="success").count() == 51
    assert "Index Scan using outbox_message_pkey on outbox_message" in plan(named)
    assert "Index Scan using outbox_message_due on outbox_message" in plan(top_up)
    assert "Seq Scan on outbox_message" not in plan(named) + plan(top_up)


def test_lost_leases_are_found_by_the_index_among_a_hundred_thousand_finished_rows(many_finished, link):
    with CaptureQueriesContext(connection) as captured:
        rescan.recover_all(["test.till"])

    (search,) = selects(captured, "lease_until")
    assert "Index Scan using outbox_message_due" in plan(search)


def test_a_search_by_business_id_uses_the_unique_index(many_finished):
    sql = str(Message.objects.filter(key="old 77").query).replace("old 77", "'old 77'")

    assert "Index Scan using outbox_message_once on outbox_message" in plan(sql)


def updates() -> tuple[int, int]:
    """Count this connection's updates of the message table: all, and those that touched no index."""
    ((every, hot),) = query(
        "SELECT pg_stat_get_xact_tuples_updated('outbox_message'::regclass),"
        " pg_stat_get_xact_tuples_hot_updated('outbox_message'::regclass)"
    )
    return every, hot


def test_a_start_touches_no_index(listen):
    till = listen()
    query("VACUUM outbox_message")
    ids = publish_messages(50)

    with transaction.atomic():
        every, hot = updates()
        starting.start_named(till, ids)
        every_after, hot_after = updates()

    assert (every_after - every, hot_after - hot) == (50, 50)


def test_no_index_mentions_the_status():
    indexes = query("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'outbox_message' ORDER BY indexname")

    assert "outbox_message_due" in dict(indexes)
    assert [name for name, definition in indexes if re.search(r"\bstatus\b", definition)] == []


def test_the_table_leaves_room_for_updates_and_is_vacuumed_by_count():
    ((options,),) = query("SELECT reloptions FROM pg_class WHERE oid = 'outbox_message'::regclass")

    assert set(options) >= {
        "fillfactor=45",
        "autovacuum_vacuum_scale_factor=0",
        "autovacuum_vacuum_threshold=10000",
        "autovacuum_analyze_scale_factor=0",
        "autovacuum_analyze_threshold=10000",
    }


THEN = "2026-01-01T00:00Z"
STARTED = {"status": "started", "attempts": 1, "started_at": THEN, "lease_until": THEN}
FAILED = {"status": "failed", "finished_at": THEN, "exhausted_at": THEN}
SUCCESS = {"status": "success", "finished_at": THEN}


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("(status|finished)", {"status": "lost"}),
        ("(status|finished)", {"status": ""}),
        ("resolution", {"resolution": "handled"}),
        ("resolution", {**STARTED, "resolution": "discarded"}),
        ("resolution", {**SUCCESS, "resolution": "discarded"}),
        ("resolution", {**SUCCESS, "resolution": "ignored"}),
        ("resolution", {"status": "failed", "finished_at": THEN, "resolution": "handled"}),
        ("finished", {"finished_at": THEN}),
        ("finished", {**STARTED, "finished_at": THEN}),
        ("finished", {"status": "success"}),
        ("finished", {"status": "failed", "exhausted_at": THEN}),
        ("exhausted", {"status": "failed", "finished_at": THEN}),
        ("exhausted", {**FAILED, "resolution": "discarded"}),
        ("exhausted", {**SUCCESS, "exhausted_at": THEN}),
        ("exhausted", {"exhausted_at": THEN}),
        ("leased", {**STARTED, "lease_until": None}),
        ("leased", {**STARTED, "started_at": None}),
        ("leased", {**STARTED, "attempts": 0}),
        ("leased", {"lease_until": THEN}),
        ("leased", {**SUCCESS, "lease_until": THEN}),
        ("attempts", {"attempts": 3}),
        ("attempts", {"attempts": 4}),
        ("attempts", {**STARTED, "attempts": 4}),
        ("attempts", {**FAILED, "attempts": 4}),
        ("named", {"key": ""}),
        ("named", {"topic": ""}),
        ("named", {"consumer": ""}),
    ],
)
def test_every_rule_of_a_row_is_checked_by_the_database(listen, constraint, changes):
    listen()
    id = publish_message()

    with pytest.raises(IntegrityError, match=f'violates check constraint "outbox_message_{constraint}"'):
        set_message(id, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        STARTED,
        {**STARTED, "attempts": 3},
        SUCCESS,
        {**SUCCESS, "resolution": "handled"},
        FAILED,
        {**FAILED, "attempts": 3},
        {"status": "failed", "finished_at": THEN, "resolution": "discarded"},
        {"attempts": 2},
    ],
)
def test_every_state_of_the_picture_is_allowed(listen, changes):
    listen()

    set_message(publish_message(), **changes)


@pytest.mark.parametrize("field", ["attempts", "attempt_limit", "lost", "sends", "revision"])
def test_no_counter_is_negative(listen, field):
    listen()
    id = publish_message()

    with pytest.raises(IntegrityError, match="violates check constraint"):
        set_message(id, **{field: -1})


def test_one_message_to_one_consumer_stands_in_the_table_once(listen):
    listen()
    one, two = publish_message(key="one"), publish_message(key="two")

    with pytest.raises(IntegrityError, match="outbox_message_once"):
        set_message(two, key="one")

    assert Message.objects.get(pk=one).key == "one"
