"""Sorted chunks of slow rows: the oldest have their turn, whatever their place in the consumer's order."""

from itertools import count

import pytest

from outbox.delivery import atomic, chunks
from tests.harness.messages import due_times, publish_message, set_message, state_of
from tests.shop.consumers import book

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched", "one_chunk")

FIT = 4
"""Rows that the time of a chunk is enough for."""
LONG_AGO = "2026-01-01T00:00Z"


class Time:
    """The clock that chunks go by."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def slow_till(listen, monkeypatch):
    """Make a consumer that sorts by the place on the shelf, and takes a quarter of a chunk's time for each row."""
    clock, handled = Time(), []
    monkeypatch.setattr(atomic, "monotonic", clock)

    def sell(message):
        clock.now += atomic.chunk_time().total_seconds() / FIT
        handled.append(message.pk)
        book(message)

    listen(sell, sort=lambda message: message.payload["shelf"], chunk=10)
    return handled


@pytest.fixture
def shelf():
    """Publish to places on the shelf, each message due after those before it."""
    minutes = count()

    def publish(*places: int) -> list[int]:
        ids = [publish_message(shelf=place) for place in places]
        for id in ids:
            set_message(id, due_at=f"2026-01-01T00:{next(minutes):02}Z")
        return ids

    return publish


def test_the_last_on_the_shelf_has_its_turn_though_others_go_on_coming_before_it(slow_till, shelf):
    (highest,) = shelf(9)
    turns = []

    for _ in range(3):
        shelf(*[1] * 9)
        chunks.deliver("test.till", ())
        turns.append(state_of(highest).status)

    assert turns == ["pending", "success", "success"]


def test_a_chunk_calls_the_oldest_that_fit_in_the_order_of_the_shelf_and_gives_back_the_rest(slow_till, shelf):
    shelf(*range(FIT))
    chunks.deliver("test.till", ())
    slow_till.clear()
    places = {id: place for place in (7, 5, 6, 4, 3, 2, 1) for id in shelf(place)}

    chunks.deliver("test.till", ())

    assert [places[id] for id in slow_till] == [4, 5, 6, 7]
    assert [state_of(id).attempts for id, place in places.items() if place < 4] == [1, 1, 1]


def test_what_was_given_back_keeps_its_place_before_all_that_is_younger(slow_till, shelf):
    ids = shelf(*range(FIT + 1))
    before = due_times(ids[-1])

    chunks.deliver("test.till", ())

    assert state_of(ids[-1])[:3] == ("pending", 1, 4)
    assert due_times(ids[-1]) == before


def test_the_first_row_of_a_chunk_is_called_however_slow_the_last_chunk_was(slow_till, shelf, monkeypatch):
    monkeypatch.setattr(atomic, "_seconds_a_row", type("Remembered", (), {"value": {"test.till": 3600.0}}))
    ids = shelf(2, 1)

    chunks.deliver("test.till", ())

    assert slow_till == ids[:1]
