"""How many rows the transactions of a long act take."""

import pytest

from outbox.operate import pacing
from outbox.operate.pacing import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock says next, in turn."""
    said: list[float] = []
    monkeypatch.setattr(pacing, "monotonic", lambda: said.pop(0))
    return said


def rows_after(clock: list[float], *took: float) -> list[int]:
    pace, rows = Pace(), []
    for seconds in took:
        clock += [100.0, 100.0 + seconds]
        with pace.timed():
            pass
        rows.append(pace.rows)
    return rows


def test_a_transaction_that_took_too_long_is_followed_by_a_smaller_one(clock: list[float]) -> None:
    assert rows_after(clock, 0.1, 0.25, 10) == [25, 10, 10]


def test_a_quick_one_is_followed_by_one_at_most_twice_as_large_up_to_a_limit(clock: list[float]) -> None:
    assert rows_after(clock, *[0.0] * 6) == [100, 200, 400, 800, 1_000, 1_000]
