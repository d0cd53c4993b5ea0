"""What grows by failure groups and by what people do is forgotten, too, once it is over and nobody is at it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from outbox.maintenance import pruning
from outbox.maintenance.pruning import prune
from outbox.models import Alert, FailureCount, FailureGroup, Heartbeat
from tests.harness.clock import HOUR, database_time
from tests.harness.rows import BOOK, sales

pytestmark = pytest.mark.usefixtures("transactional_db")

KEPT = timedelta(days=90)
LONG_AGO = KEPT + HOUR


def failure_group(name: str, *, last: timedelta = LONG_AGO, **fields: Any) -> FailureGroup:
    """Write a failure group that first happened a year ago, and so long ago for the last time."""
    now = database_time()
    group = FailureGroup.objects.create(
        fingerprint=name, consumer=BOOK, title=name, first_at=now - timedelta(days=365), **fields
    )
    for slot, at in enumerate((now - timedelta(days=365), now - last)):
        FailureCount.objects.create(group=group, slot=slot, count=3, last_at=at)
    return group


def groups_left() -> set[str]:
    return set(FailureGroup.objects.values_list("pk", flat=True))


def test_a_failure_group_that_is_over_goes_with_its_counts():
    failure_group("over")
    young = failure_group("young", last=KEPT - HOUR)

    prune()

    assert groups_left() == {"young"}
    assert set(FailureCount.objects.values_list("group", flat=True)) == {young.pk}


def test_a_group_that_somebody_is_at_stays():
    for name in ("owner", "ticket", "note"):
        failure_group(name, **{name: "ada"})

    prune()

    assert groups_left() == {"owner", "ticket", "note"}


def test_a_group_for_which_a_message_is_stuck_stays():
    failure_group("stuck")
    sales.failed(at=database_time() - LONG_AGO, failure="stuck")

    prune()

    assert groups_left() == {"stuck"}


def test_a_group_that_was_just_made_and_not_counted_yet_stays():
    FailureGroup.objects.create(fingerprint="new", consumer=BOOK, title="new")

    prune()

    assert groups_left() == {"new"}


def test_how_long_groups_are_kept_is_a_setting(configure: Any):
    configure(KEEP_STATS=HOUR)
    failure_group("over", last=2 * HOUR)

    prune()

    assert groups_left() == set()


def test_only_so_many_groups_go_in_a_pass(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pruning, "GROUP_BATCH", 2)
    for n in range(3):
        failure_group(f"over {n}")

    prune()

    assert len(groups_left()) == 1


def test_alarms_that_are_over_and_could_not_be_told_are_forgotten_in_the_end():
    for about, age in (("over", LONG_AGO), ("still told", HOUR)):
        Alert.objects.create(about=about, level=1, sentence="x", seen_at=Now() - age, notified_level=1)

    prune()

    assert [alarm.about for alarm in Alert.objects.all()] == ["still told"]


def test_the_small_tables_are_looked_at_once_a_minute():
    prune()
    failure_group("over")

    prune()
    seen = groups_left()
    Heartbeat.objects.filter(name=pruning.SMALL_TABLES).update(at=Now() - timedelta(seconds=61))
    prune()

    assert (seen, groups_left()) == ({"over"}, set())
