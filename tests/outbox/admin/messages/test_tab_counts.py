"""The tabs' counts: exact where a night's work has bounds, honest where counting stops, and by few statements."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from outbox.admin import counts
from outbox.admin.counts import BoundedCount
from outbox.admin.messages import tab_counts
from outbox.admin.messages.tabs import EVERYTHING, TABS, Scope
from tests.harness.desk import ISSUE, ORDER, wins

pytestmark = pytest.mark.django_db


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tab_counts, "ROWS_COUNTED", 5)


def counted(scope: Scope = EVERYTHING) -> dict[str, BoundedCount]:
    return dict(tab_counts.count_tabs(scope).by_tab)


def test_every_tab_counts_its_own() -> None:
    makers = [wins.failed, wins.pending, wins.started, wins.success, wins.handled, wins.discarded]
    for number, make in enumerate(makers):
        for n in range(number):
            make(f"{make.__name__} {n}")

    found = counted()

    assert {slug: count.counted for slug, count in found.items() if slug != "all"} == {
        "withdrawn": 0,
        **{make.__name__: number for number, make in enumerate(makers)},
        "overdue": 0,
    }
    assert set(found) == {tab.slug for tab in TABS}


def test_what_fails_waits_or_runs_is_counted_to_the_end_and_what_is_over_is_not(few_rows: None) -> None:
    for n in range(7):
        wins.failed(f"failed {n}")
        wins.pending(f"pending {n}", consumer=ORDER)
        wins.started(f"started {n}")
        wins.success(f"success {n}")

    found = counted()

    assert {found[slug] for slug in ("failed", "pending", "started")} == {BoundedCount(7, more=False)}
    assert (found["success"], found["all"]) == (BoundedCount(5, more=True), BoundedCount(21, more=True))


def test_all_of_a_consumer_is_never_less_than_what_is_known_of_it(few_rows: None) -> None:
    for n in range(9):
        wins.failed(f"ours {n}", consumer=ORDER)
    wins.pending("ours", consumer=ORDER)
    for n in range(6):
        wins.success(f"newer {n}")

    assert counted(Scope(ORDER))["all"] == BoundedCount(10, more=True)
    assert counted(Scope(ISSUE))["all"] == BoundedCount(5, more=True)


def test_a_failure_group_narrows_down_what_failed_alone() -> None:
    for n in range(3):
        wins.failed(f"ours {n}", failure="a" * 64)
        wins.failed(f"other {n}", failure="b" * 64)
        wins.pending(f"waits {n}")

    found = counted(Scope(ISSUE, ("a" * 64,)))

    assert (found["failed"].counted, found["pending"].counted) == (3, 3)


def test_beyond_the_cap_of_a_consumer_the_count_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tab_counts, "CAP", 4)
    monkeypatch.setattr(counts, "CAP", 4)
    for n in range(5):
        wins.failed(f"many {n}")
        wins.pending(f"many waiting {n}")
    for n in range(2):
        wins.failed(f"few {n}", consumer=ORDER)

    found = counted()

    assert found["failed"] == BoundedCount(5, more=True)
    assert (found["pending"], counted(Scope(ORDER))["failed"]) == (BoundedCount(4, more=True), BoundedCount(2))


@pytest.mark.services
def test_no_count_reads_the_table_without_an_index() -> None:
    wins.failed("a")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")

    with CaptureQueriesContext(connection) as queries:
        counted()
        counted(Scope(ORDER))

    assert len(queries) == 4
    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {query['sql']}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan on outbox_message" not in plan, query["sql"]
