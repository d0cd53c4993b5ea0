"""What the engine asks of PostgreSQL, counted: statements, rows written, pages and indexes touched, plans.

Benchmarks wobble with the machine; these figures do not, so that whatever makes the engine slower shows here first.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from outbox import Draft, Message, publish_many
from outbox.admin.messages.tabs import TABS
from outbox.delivery import chunks, sessions, starting
from outbox.maintenance import rescan
from tests.harness.messages import publish_message, publish_messages, states_of
from tests.harness.plans import plan, query
from tests.harness.pools import no_spare_sessions
from tests.harness.program import eventually
from tests.shop.models import Effect, Stock

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched")]

ALL_AT_ONCE = "success"
"""The tab of what is finished: here a hundred thousand rows have finished at one moment, which no index tells apart."""
PAGE = "/admin/outbox/message/"
PAYLOAD = {"note": "x" * 390}


@pytest.fixture(autouse=True)
def _one_session() -> Iterator[None]:
    """Have all be written on the session whose counts are told."""
    with no_spare_sessions():
        yield


def published(many: int) -> list[int]:
    """Publish so many messages of 400 bytes by one call, as a busy site writes them: page after page."""
    with transaction.atomic():
        return publish_many(Draft(topic="test.sold", key=f"many {number}", payload=PAYLOAD) for number in range(many))


def statements(act: Callable[[], object]) -> list[str]:
    """Return what was sent to the database while it acted."""
    with CaptureQueriesContext(connection) as captured:
        act()
    return [entry["sql"] for entry in captured.captured_queries]


def whole_reads(sent: list[str]) -> list[str]:
    """Return the statements that read the message table from end to end."""
    asked = [part for sql in sent for part in sql.split("; ") if '"outbox_message"' in part or "WITH picked" in part]
    assert len(asked) >= 2
    return [sql for sql in asked if "Seq Scan on outbox_message" in plan(sql)]


class Written(NamedTuple):
    """Rows of a table that were written, by kind; ``hot`` updates touched no index."""

    inserted: int
    updated: int
    hot: int
    deleted: int


def written(act: Callable[[], object]) -> dict[str, Written]:
    """Return which tables were written to while it acted, and how many of their rows.

    A session tells its counts when it ends, so this one ends before each look.
    """
    before = _counters()
    act()
    after = _counters()
    changes = {
        table: Written(*(now - then for now, then in zip(counts, before.get(table, (0,) * 4), strict=True)))
        for table, counts in after.items()
    }
    return {table: change for table, change in changes.items() if any(change)}


def _counters() -> dict[str, tuple[int, ...]]:
    _tell_counts()
    found = query("SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del FROM pg_stat_user_tables")
    return {table: tuple(counts) for table, *counts in found}


def _tell_counts() -> None:
    """End the session, whose counts are then known to all, and wait until it has gone."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    connection.close()
    connection.close_pool()
    eventually(lambda: not query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid), within=5)


def test_a_message_is_written_once_by_publish_and_twice_by_delivery(listen):
    listen()
    ids = publish_messages(50)

    changes = written(lambda: chunks.deliver("test.till", ids))

    assert changes["outbox_message"][:2] == (0, 100)
    one_note_a_chunk = {"outbox_unsettled": Written(1, 0, 0, 1)}
    assert changes == one_note_a_chunk | {
        "outbox_message": changes["outbox_message"],
        "shop_effect": Written(50, 0, 0, 0),
    }


def test_publishing_writes_the_message_and_nothing_else(listen):
    listen()

    changes = written(lambda: published(50))

    assert changes == {"outbox_message": Written(50, 0, 0, 0)}


def test_every_start_of_two_thousand_full_pages_is_hot(listen):
    till = listen()
    ids = published(2_000)

    def start_all() -> None:
        for first in range(0, len(ids), 50):
            starting.start_named(till, ids[first : first + 50])

    changes = written(start_all)

    assert changes == {"outbox_message": Written(0, 2_000, 2_000, 0)}


def test_no_statement_of_a_delivery_reads_the_whole_table(many_finished):
    _till, ids = many_finished

    sent = statements(lambda: chunks.deliver("test.till", ids[:50]))

    assert {entry.status for entry in states_of(ids[:50])} == {"success"}
    assert whole_reads(sent) == []


def test_publishing_reads_no_table_but_by_the_unique_index(many_finished):
    before = _scans()

    published(200)

    assert _scans() == before


def _scans() -> int:
    """Return how often the message table was read from end to end."""
    _tell_counts()
    ((scans,),) = query("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'outbox_message'")
    return scans


def test_the_work_queue_of_the_desk_reads_no_whole_table_among_a_hundred_thousand_finished_rows(many_finished):
    client = Client(HTTP_HOST="localhost")
    client.force_login(get_user_model().objects.create_superuser("counter"))

    slugs = [tab.slug for tab in TABS if tab.slug != ALL_AT_ONCE]
    sent = [sql for slug in slugs for sql in statements(lambda slug=slug: client.get(PAGE, {"tab": slug}))]

    assert len(slugs) == len(TABS) - 1
    # A tally looks at no more than 10,001 rows; in a table ten times as large, all of them may be the quickest way.
    assert whole_reads([sql for sql in sent if "LIMIT 10001" not in sql]) == []

    get_user_model().objects.all().delete()


@pytest.mark.parametrize("many", [2, 500])
def test_a_bulk_chunk_takes_as_many_statements_for_five_hundred_rows_as_for_two(listen, many):
    Stock.objects.create(pk=1)
    listen(lambda _messages: Stock.objects.filter(pk=1).update(count=1), bulk=True, chunk=500)
    ids = published(many)

    sent = statements(lambda: chunks.deliver("test.till", ids))

    own = [sql for sql in sent if '"shop_stock"' not in sql]
    assert {entry.status for entry in states_of(ids)} == {"success"}
    assert len(sent) - len(own) == 1
    assert len(own) <= 12


def test_a_row_handled_outside_a_transaction_takes_a_handful_of_statements(listen):
    listen(atomic=False)
    id = publish_message()
    sessions.restore()

    sent = statements(lambda: chunks.deliver("test.till", [id]))

    own = [sql for sql in sent if '"shop_effect"' not in sql]
    assert [entry.status for entry in states_of([id])] == ["success"]
    assert len(own) <= 8


def test_a_rescan_takes_as_many_statements_for_a_thousand_due_rows_as_for_ten(listen, link):
    listen()
    ids = published(1_010)
    Message.objects.filter(pk__in=ids[:10]).update(due_at="2026-01-01T00:00Z")

    with_ten = len(statements(rescan.rescan))
    sent_before = len(link.sent)
    Message.objects.filter(pk__in=ids[10:]).update(due_at="2026-01-01T00:00Z")
    with_thousand = len(statements(rescan.rescan))

    assert sum(len(hint.ids) for hint in link.sent[sent_before:]) == 1_000
    # A claim that was full is followed by one more look.
    assert with_thousand <= with_ten + 4


def test_a_rescan_with_nothing_due_writes_its_heartbeat_and_nothing_else(listen, link):
    listen()
    published(100)
    rescan.rescan()

    changes = written(rescan.rescan)

    assert set(changes) == {"outbox_heartbeat"}
    assert Effect.objects.count() == 0
