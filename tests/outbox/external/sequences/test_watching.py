"""The receiver's side: what is a gap, what is none, and what closes one."""

import time
from datetime import timedelta

import pytest

from outbox.external.ingest.taking_in import TakenIn, take_in
from outbox.external.sequences.acts import close_gap, forget_stream
from outbox.models import AuditEntry, Gap, Message, Quarantined, WatchedStream
from tests.outbox.external.sequences.conftest import NAME, beat, gaps, numbered, void

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = timedelta(milliseconds=50)


@pytest.fixture(autouse=True)
def _a_short_limit(configure) -> None:
    configure(GAP_LIMIT=LIMIT)


def wait() -> None:
    """Let the limit pass."""
    time.sleep(LIMIT.total_seconds() * 1.5)


def test_what_was_sent_and_is_missing_for_longer_than_the_limit_is_a_gap(partner):
    take_in(partner, [numbered(1), numbered(2), numbered(4), beat(4)])
    at_once = gaps()
    wait()
    take_in(partner, [beat(4)])

    assert (at_once, gaps()) == ([], [(3, 3, "sent")])


def test_without_a_heartbeat_no_gap_is_claimed(partner):
    take_in(partner, [numbered(1), numbered(3)])
    wait()
    take_in(partner, [numbered(4)])

    assert gaps() == []


def test_the_last_of_all_is_found_by_the_heartbeat(partner):
    take_in(partner, [numbered(1), numbered(2), beat(3)])
    wait()
    take_in(partner, [beat(3)])

    assert gaps() == [(3, 3, "sent")]


def test_what_the_sender_still_has_is_no_gap_however_long(partner):
    take_in(partner, [numbered(1), numbered(4), beat(5, open=[2, 3, 5])])
    wait()
    take_in(partner, [beat(5, open=[2, 3, 5])])

    assert gaps() == []


def test_what_has_failed_at_the_sender_is_named_as_that(partner):
    take_in(partner, [numbered(1), numbered(3), beat(3, failed=[2])])
    wait()
    take_in(partner, [beat(3, failed=[2])])
    failed = gaps()
    take_in(partner, [beat(3, open=[2])])

    assert (failed, gaps()) == ([(2, 2, "failed")], [(2, 2, "open")])


def test_a_late_one_closes_the_gap_and_is_taken_in(partner):
    take_in(partner, [numbered(1), numbered(3), beat(3)])
    wait()
    take_in(partner, [beat(3)])

    outcome = take_in(partner, [numbered(2)])

    assert outcome == TakenIn(taken=1, rows=1)
    assert gaps() == []
    assert Gap.objects.values_list("end", flat=True).get() == "came"


def test_the_word_that_it_never_comes_closes_the_gap_and_is_no_message(partner):
    take_in(partner, [numbered(1), numbered(3), beat(3)])
    wait()
    take_in(partner, [beat(3)])

    outcome = take_in(partner, [void(2)])

    assert outcome == TakenIn()
    assert (Message.objects.count(), Quarantined.objects.count(), gaps()) == (2, 0, [])
    assert Gap.objects.values_list("end", flat=True).get() == "void"


def test_what_comes_in_another_order_is_no_gap(partner):
    take_in(partner, [numbered(1), numbered(3), numbered(5), beat(6)])
    take_in(partner, [numbered(2), numbered(6), numbered(4)])
    wait()
    take_in(partner, [beat(6), beat(6)])

    assert gaps() == []


def test_what_comes_in_the_middle_of_a_gap_parts_it(partner):
    take_in(partner, [numbered(1), numbered(7), beat(7)])
    wait()
    take_in(partner, [beat(7)])
    before = gaps()
    take_in(partner, [numbered(4)])

    assert (before, gaps()) == ([(2, 6, "sent")], [(2, 3, "sent"), (5, 6, "sent")])


def test_what_was_sent_before_we_listened_is_nobody_s_gap(partner):
    take_in(partner, [numbered(101), beat(102)])
    wait()
    take_in(partner, [beat(102), numbered(102)])

    assert gaps() == []
    assert WatchedStream.objects.values_list("begin", "high").get() == (101, 102)


def test_an_empty_stream_is_watched_from_its_first_heartbeat_on(partner):
    take_in(partner, [beat(7)])
    take_in(partner, [numbered(9), beat(9)])
    wait()
    take_in(partner, [beat(9)])

    assert gaps() == [(8, 8, "sent")]


def test_what_is_quarantined_has_come(partner):
    take_in(partner, [numbered(1), numbered(2, id=" "), numbered(3)])
    bad = numbered(4)
    object.__setattr__(bad, "body", b"no JSON")
    take_in(partner, [bad, numbered(5), beat(5)])
    wait()
    take_in(partner, [beat(5)])

    assert (Quarantined.objects.count(), gaps()) == (1, [])


@pytest.mark.parametrize(
    "headers",
    [
        {"x-outbox-sequence": "7"},
        {"x-outbox-sequence": -1},
        {"x-outbox-sequence": 2**70},
        {"x-outbox-epoch": None},
        {"x-outbox-stream": "x" * 1000},
        {"x-outbox-stream": "a\0b"},
        {"x-outbox-notice": "heartbeat"},
        {"x-outbox-notice": "something"},
        {"x-outbox-notice": ["void"]},
    ],
)
def test_what_cannot_be_believed_is_a_message_like_any_other(partner, headers):
    odd = numbered(7)
    object.__setattr__(odd, "headers", {**odd.headers, **headers})

    outcome = take_in(partner, [odd])

    assert outcome.taken + outcome.quarantined == 1
    assert not WatchedStream.objects.exists()


def test_a_person_closes_a_gap_and_it_stays_closed(partner):
    take_in(partner, [numbered(1), numbered(3), beat(3)])
    wait()
    take_in(partner, [beat(3)])

    closed = close_gap(Gap.objects.get().pk, actor="ann", reason="replayed as 9")
    take_in(partner, [beat(5), numbered(4)])
    wait()
    take_in(partner, [beat(5)])

    assert (closed.end, closed.closed_by, gaps()) == ("person", "ann", [(5, 5, "sent")])
    assert AuditEntry.objects.values_list("action", "reason").get() == ("close_gap", "replayed as 9")


def test_a_stream_that_has_ended_is_forgotten_with_its_gaps(partner):
    take_in(partner, [numbered(1), numbered(3), beat(3)])
    wait()
    take_in(partner, [beat(3)])

    assert forget_stream("partner", NAME, actor="ann", reason="it has ended") == 1
    assert not WatchedStream.objects.exists()
    assert not Gap.objects.exists()
