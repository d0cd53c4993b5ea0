"""What is missing of numbers that run on, as ranges. Nothing here knows a database or a clock."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

SENT, FAILED, OPEN = "sent", "failed", "open"
"""What a sender says of a number; the values of ``SaidOfGap``."""

Pair = tuple[int, int]


class Span(NamedTuple):
    """Numbers from ``first`` to ``last`` that are missing.

    ``said`` is what the sender says of them since the second ``since``; empty: nothing yet. ``claimed``: it is a gap.
    """

    first: int
    last: int
    said: str
    since: float
    claimed: bool


def read_spans(stored: Iterable[Sequence[object]]) -> list[Span]:
    """Return spans as they were stored in JSON."""
    return [Span(*each) for each in stored]  # type: ignore[arg-type]  # written by us


def cut(spans: Sequence[Span], numbers: Collection[int]) -> list[Span]:
    """Return the spans without these numbers."""
    sorted_numbers = sorted(set(numbers))
    left: list[Span] = []
    for span in spans:
        first, at = span.first, bisect_left(sorted_numbers, span.first)
        while at < len(sorted_numbers) and sorted_numbers[at] <= span.last:
            if sorted_numbers[at] > first:
                left.append(span._replace(first=first, last=sorted_numbers[at] - 1))
            first, at = sorted_numbers[at] + 1, at + 1
        if first <= span.last:
            left.append(span._replace(first=first))
    return left


def cut_range(spans: Sequence[Span], first: int, last: int) -> list[Span]:
    """Return the spans without what lies from ``first`` to ``last``."""
    left: list[Span] = []
    for span in spans:
        if span.last < first or span.first > last:
            left.append(span)
            continue
        if span.first < first:
            left.append(span._replace(last=first - 1))
        if span.last > last:
            left.append(span._replace(first=last + 1))
    return left


def arrive(spans: Sequence[Span], high: int, numbers: Collection[int], now: float) -> tuple[list[Span], int]:
    """Take note of numbers that came, in whatever order; return what is missing then, and the highest number."""
    left = cut(spans, numbers)
    for number in sorted(number for number in set(numbers) if number > high):
        left += _missing(high + 1, number - 1, now)
        high = number
    return left, high


def reach(spans: Sequence[Span], high: int, given: int, now: float) -> tuple[list[Span], int]:
    """Take note that numbers were given up to ``given``; return what is missing then, and the highest number."""
    return [*spans, *_missing(high + 1, given, now)], max(high, given)


def mark(spans: Sequence[Span], *, given: int, open: Iterable[Pair], failed: Iterable[Pair], now: float) -> list[Span]:
    """Write at each missing number up to ``given`` what the sender says of it: what is not open was sent."""
    said = sorted([(first, last, OPEN) for first, last in open] + [(first, last, FAILED) for first, last in failed])
    ends = [last for _first, last, _said in said]
    marked: list[Span] = []
    for span in spans:
        known = min(span.last, given)
        for first, last, word in _parts(span.first, known, said[bisect_left(ends, span.first) :]):
            since = span.since if word == span.said else now
            marked.append(Span(first, last, word, since, span.claimed))
        if span.last > known:
            marked.append(span._replace(first=max(span.first, known + 1)))
    return joined(marked)


def claim(spans: Sequence[Span], *, before: float) -> list[Span]:
    """Return the spans; what the sender has held for sent, or for failed, since ``before`` and earlier is a gap."""
    return joined(
        span._replace(claimed=True) if span.said in (SENT, FAILED) and span.since <= before else span for span in spans
    )


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans that touch and are alike as one."""
    result: list[Span] = []
    for span in spans:
        last = result[-1] if result else None
        if last is not None and last.last + 1 == span.first and last[2:] == span[2:]:
            result[-1] = last._replace(last=span.last)
        else:
            result.append(span)
    return result


def _missing(first: int, last: int, now: float) -> list[Span]:
    return [Span(first, last, "", now, claimed=False)] if first <= last else []


def _parts(first: int, last: int, said: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Yield the parts of a range by what is said of them; of what nothing is said, that it was sent."""
    for begin, end, word in said:
        if begin > last:
            break
        if begin > first:
            yield first, begin - 1, SENT
        if max(begin, first) <= min(end, last):
            yield max(begin, first), min(end, last), word
        first = max(first, end + 1)
    if first <= last:
        yield first, last, SENT
