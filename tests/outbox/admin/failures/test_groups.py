"""Failure groups: which matter first."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from outbox.admin import counts
from outbox.admin.counts import BoundedCount
from outbox.admin.failures import groups
from outbox.models import FailureCount, GroupState, Message
from tests.harness.clock import HOUR, database_time
from tests.harness.desk import ORDER, failure_group, wins
from tests.harness.rows import attempt

pytestmark = pytest.mark.django_db


def test_what_is_most_stuck_comes_first_then_what_is_new_then_what_failed_last() -> None:
    failure_group("fresh", stuck=1)
    failure_group("seldom", stuck=1, state=GroupState.WAITING)
    failure_group("often", stuck=3, state=GroupState.WAITING)
    failure_group("harmless", failures=900)
    FailureCount.objects.filter(group__title="the harmless jams").update(last_at=timezone.now() + timedelta(hours=1))

    found = groups.read_groups(groups.stuck_now())

    assert [one.group.title for one in found] == [
        "the often jams",
        "the fresh jams",
        "the seldom jams",
        "the harmless jams",
    ]
    assert [(one.stuck.counted, one.total) for one in found] == [(3, 1), (1, 1), (1, 1), (0, 900)]


def test_stuck_is_what_waits_for_a_person_now_of_this_group_and_consumer() -> None:
    group = failure_group(failures=9, stuck=2)
    wins.failed("other kind", failure="b" * 64)
    wins.failed("other consumer", failure=group.pk, consumer=ORDER)
    wins.handled("by hand", failure=group.pk)
    wins.pending("again", failure=group.pk)

    one = groups.find_group(group.pk)

    assert one is not None
    assert (one.stuck, one.total) == (BoundedCount(2, more=False), 9)
    assert one.last_at == max(FailureCount.objects.values_list("last_at", flat=True))


def test_counting_and_looking_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "GROUPS_READ", 1)
    monkeypatch.setattr(groups, "CAP", 3)
    monkeypatch.setattr(counts, "CAP", 3)
    failure_group("older", stuck=3)
    FailureCount.objects.update(last_at=timezone.now() - timedelta(days=1))
    failure_group("newer", stuck=4, consumer=ORDER)

    found = groups.read_groups(groups.stuck_now())

    assert [(one.group.title, one.stuck) for one in found] == [("the newer jams", BoundedCount(2, more=True))]


def test_what_is_stuck_is_counted_to_the_end_with_its_beginning_and_its_worth() -> None:
    group = failure_group()
    for n, at in enumerate((3, 1, 2)):
        wins.failed(f"{n}", failure=group.pk, at=database_time() - at * HOUR, value=Decimal("2.50"), currency="EUR")
    wins.failed("points", failure=group.pk, value=Decimal(7), currency="points")
    wins.failed("worth nothing", failure=group.pk)
    wins.failed("of another", value=Decimal(99), currency="EUR")

    (one,) = groups.read_stuck_groups(groups.stuck_now())

    assert one.stuck == BoundedCount(5, more=False)
    assert one.worth == {"EUR": Decimal("7.50"), "points": Decimal(7)}
    assert one.stuck_since == Message.objects.exhausted().earliest("exhausted_at").exhausted_at


@pytest.mark.parametrize(
    ("fields", "stuck", "tab"),
    [
        ({"state": GroupState.NEW}, 0, groups.OPEN),
        ({"state": GroupState.INVESTIGATING}, 0, groups.OPEN),
        ({"state": GroupState.WAITING}, 0, groups.OPEN),
        ({"state": GroupState.IGNORED, "ignored_up_to": 10}, 5, groups.IGNORED),
        ({"state": GroupState.IGNORED, "ignored_up_to": 9}, 0, groups.OPEN),
        ({"state": GroupState.FIXED}, 0, groups.FIXED),
        ({"state": GroupState.FIXED}, 1, groups.OPEN),
    ],
)
def test_what_is_ignored_or_fixed_is_out_of_the_way_until_it_grows_or_is_stuck(
    fields: dict[str, Any], stuck: int, tab: str
) -> None:
    failure_group(failures=10, stuck=stuck, **fields)

    sorted_out = groups.tabs_of(groups.read_groups(groups.stuck_now()))

    assert {name: len(found) for name, found in sorted_out.items()} == {
        groups.OPEN: 0,
        groups.IGNORED: 0,
        groups.FIXED: 0,
        groups.ALL: 1,
        tab: 1,
    }


@pytest.mark.parametrize(
    ("ticket", "url"),
    [
        ("https://tracker.example/7", "https://tracker.example/7"),
        ("HTTP://tracker.example/7", "HTTP://tracker.example/7"),
        ("javascript:alert(1)", ""),
        ("SHOP-7", ""),
        ("data:text/html,x https://a", ""),
    ],
)
def test_a_ticket_is_a_link_only_to_the_web(ticket: str, url: str) -> None:
    group = failure_group(ticket=ticket)
    one = groups.find_group(group.pk)

    assert one is not None
    assert one.ticket_url == url


def test_the_list_costs_the_same_few_statements_however_many_groups_there_are() -> None:
    for n in range(12):
        failure_group(str(n), stuck=2)

    with CaptureQueriesContext(connection) as queries:
        assert len(groups.read_groups(groups.stuck_now())) == 12

    assert len(queries) == 4


@pytest.mark.services
def test_an_index_counts_what_is_stuck() -> None:
    failure_group(stuck=1)
    pattern = Message.objects.values().get()
    Message.objects.bulk_create(
        Message(**{**pattern, "id": None, "key": str(n), "consumer": f"c.{n % 20}", "failure": f"{n % 40:064}"})
        for n in range(2_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE outbox_message")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")

    with CaptureQueriesContext(connection) as queries:
        groups.stuck_now()

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {queries[-1]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan on outbox_message" not in plan


def test_the_sample_is_the_newest_that_is_stuck_with_its_newest_attempt() -> None:
    group = failure_group(stuck=2)
    newest = Message.objects.latest("id")
    attempt(newest, 2, traceback="old")
    last = attempt(newest, 3, traceback="new")

    found, nothing = groups.find_group(group.pk), groups.find_group(failure_group("nothing").pk)
    assert found is not None and nothing is not None  # noqa: PT018  # both, for the type checker
    assert groups.sample_message(found) == (newest, last)
    assert groups.sample_message(nothing) is None
