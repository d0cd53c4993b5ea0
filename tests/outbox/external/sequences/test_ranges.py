"""What is missing, as ranges: the same as a set of numbers would say, however it came about."""

from hypothesis import given
from hypothesis import strategies as st

from outbox.external.sequences import ranges
from outbox.external.sequences.ranges import Span

numbers = st.integers(1, 60)
batches = st.lists(st.sets(numbers, max_size=20), max_size=8)


def all_of(spans: list[Span]) -> list[int]:
    return [number for span in spans for number in range(span.first, span.last + 1)]


def missing(first: int, last: int, said: str = "", since: float = 0.0, *, claimed: bool = False) -> Span:
    return Span(first, last, said, since, claimed)


@given(batches)
def test_what_is_missing_is_what_has_not_come_in_whatever_order(came: list[set[int]]) -> None:
    spans: list[Span] = []
    high = 0

    for batch in came:
        spans, high = ranges.arrive(spans, high, batch, now=1.0)

    arrived = set().union(*came)
    assert high == max(arrived, default=0)
    assert all_of(spans) == sorted(set(range(1, high + 1)) - arrived)


@given(st.sets(numbers), numbers, st.sets(numbers), st.sets(numbers))
def test_what_is_said_of_each_number_is_what_the_heartbeat_says(
    came: set[int], given: int, open: set[int], failed: set[int]
) -> None:
    failed -= open
    spans, high = ranges.arrive([], 0, came, now=1.0)

    spans, high = ranges.reach(spans, high, given, now=2.0)
    pairs = [[(number, number) for number in sorted(each)] for each in (open, failed)]
    spans = ranges.mark(spans, given=given, open=pairs[0], failed=pairs[1], now=3.0)

    said = {number: span.said for span in spans for number in range(span.first, span.last + 1)}
    assert said == {
        number: "" if number > given else "open" if number in open else "failed" if number in failed else "sent"
        for number in range(1, max(high, given) + 1)
        if number not in came
    }
    assert all_of(spans) == sorted(said)


def test_a_gap_is_what_was_held_for_sent_for_long_enough() -> None:
    spans = [missing(1, 1, "sent", 10), missing(2, 2, "sent", 11), missing(3, 3, "open", 1), missing(4, 4, "failed", 1)]

    claimed = ranges.claim(spans, before=10)

    assert [(span.first, span.claimed) for span in claimed] == [(1, True), (2, False), (3, False), (4, True)]


def test_what_is_said_once_more_keeps_its_time_and_what_is_said_anew_does_not() -> None:
    spans = [missing(1, 1, "sent", 10), missing(2, 2, "open", 10)]

    marked = ranges.mark(spans, given=2, open=[], failed=[], now=20)

    assert marked == [missing(1, 1, "sent", 10), missing(2, 2, "sent", 20)]


def test_a_range_is_cut_out() -> None:
    assert ranges.cut_range([missing(1, 9)], 4, 6) == [missing(1, 3), missing(7, 9)]
    assert ranges.cut_range([missing(1, 3), missing(5, 6)], 3, 5) == [missing(1, 2), missing(6, 6)]
