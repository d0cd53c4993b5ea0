"""Another epoch of a stream: watched from its first number if we listened when it began, and else from what comes."""

from datetime import datetime, timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from outbox.external.ingest.taking_in import take_in
from outbox.models import Gap, WatchedStream
from tests.outbox.external.sequences.conftest import LONG_AGO, beat, gaps, numbered
from tests.outbox.external.sequences.test_watching import LIMIT, wait

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _a_short_limit(configure) -> None:
    configure(GAP_LIMIT=LIMIT)


@pytest.mark.parametrize("is_said", [True, False])
def test_an_epoch_that_began_while_we_listened_begins_at_one_and_leaves_the_gaps_of_the_first(partner, is_said):
    take_in(partner, [numbered(1), numbered(3), beat(3)])
    wait()
    since = timezone.now()
    first = numbered(2, epoch="e2", since=since if is_said else None)
    take_in(partner, [beat(3), first])
    take_in(partner, [beat(2, epoch="e2", since=since)])
    wait()
    take_in(partner, [beat(2, epoch="e2", since=since)])

    assert list(Gap.objects.open().order_by("pk").values_list("watched__epoch", "first")) == [("e1", 2), ("e2", 1)]


@pytest.mark.parametrize(
    "first", [beat(500_000, epoch="e2"), numbered(500_000, epoch="e2")], ids=["heartbeat", "message"]
)
def test_an_epoch_that_began_before_we_listened_has_no_gap_though_we_hear_of_the_one_before_it_first(partner, first):
    take_in(partner, [beat(300_000, failed=[7])])
    take_in(partner, [first])
    wait()
    take_in(partner, [beat(500_001, epoch="e2")])
    wait()
    take_in(partner, [beat(500_001, epoch="e2")])

    assert gaps() == [(500_001, 500_001, "sent")]


def test_an_epoch_that_was_over_before_we_listened_has_no_gap_though_we_hear_of_the_next_one_first(partner):
    take_in(partner, [beat(500_000, epoch="e2")])
    take_in(partner, [beat(300_000, failed=[7])])
    wait()
    take_in(partner, [beat(300_000, failed=[7])])

    assert gaps() == []


def test_the_first_sign_of_an_epoch_may_come_late(partner):
    take_in(partner, [beat(3)])
    WatchedStream.objects.update(since=timezone.now() - timedelta(days=2))
    since = timezone.now() - timedelta(days=1)
    take_in(partner, [beat(5, epoch="e2", since=since)])
    wait()
    take_in(partner, [beat(5, epoch="e2", since=since)])

    assert gaps() == [(1, 5, "sent")]


@pytest.mark.parametrize("since", ["", 7, "yesterday", "2026-01-01", "0001-01-01T00:00:00+14:00", "9" * 100])
def test_a_beginning_that_is_no_time_is_as_if_nothing_was_said(partner, since):
    odd = numbered(2, epoch="e2", since=None)
    odd.headers["x-outbox-epoch-since"] = since
    take_in(partner, [numbered(1)])

    assert take_in(partner, [odd]).taken == 1
    assert WatchedStream.objects.get(epoch="e2").begin == 1


@pytest.mark.parametrize("since", [LONG_AGO, datetime.max.replace(tzinfo=LONG_AGO.tzinfo)])
def test_a_host_without_zones_reads_the_beginning_all_the_same(partner, since):
    with override_settings(USE_TZ=False):
        take_in(partner, [numbered(1)])
        take_in(partner, [numbered(2, epoch="e2", since=since)])

    assert WatchedStream.objects.get(epoch="e2").begin == (2 if since == LONG_AGO else 1)
