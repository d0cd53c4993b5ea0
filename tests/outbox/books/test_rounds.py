"""A reading that has no time left is gone on with: each round comes to its end, however much is due."""

from datetime import timedelta

import pytest
from django.utils import timezone

from outbox.books import keeping
from outbox.books.horizon import Horizon
from outbox.books.keeping import read_book
from outbox.models import BookState
from tests.harness.ledger import deliver, sell
from tests.shop.models import Sale

pytestmark = pytest.mark.django_db(transaction=True)

QUARTER = timedelta(minutes=15)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BUDGET = timedelta(minutes=5)


@pytest.fixture
def time_for_two(monkeypatch):
    """Have every reading with a budget end after two windows."""

    def limit():
        monkeypatch.setattr(keeping, "SPAN", 1)
        over = property(lambda run: run.stop_at is not None and run.windows >= 2)
        monkeypatch.setattr(keeping._Reading, "is_over", over)

    return limit


def read_on(book, many):
    """Read a book so often; return how many windows that were each time, and whether there was more."""
    runs = [read_book(book, budget=BUDGET) for _reading in range(many)]
    return [(run.windows, run.more) for run in runs]


def test_windows_that_have_changed_are_read_each_once_until_all_are(declare, standing, time_for_two):
    book = declare(changed="changed_at")
    deliver(sell(6, apart=QUARTER), ["test.till"])
    read_book(book)
    Sale.objects.update(status="new", changed_at=timezone.now() - 2 * MINUTE)
    BookState.objects.update(changed_at=timezone.now() - 3 * MINUTE, ran_at=None)
    time_for_two()

    assert read_on(book, 3) == [(2, True), (2, True), (2, False)]
    assert len(standing()) == 6
    assert BookState.objects.get().ran_at is not None


def test_windows_that_do_not_balance_are_read_each_once_and_in_the_next_round_again(sales, time_for_two):
    sell(3, apart=QUARTER)
    read_book(sales)
    time_for_two()

    assert read_on(sales, 4) == [(2, True), (1, False)] * 2


def test_a_change_that_comes_while_a_round_is_under_way_is_found_by_the_next(
    declare, standing, time_for_two, monkeypatch
):
    book = declare(changed="changed_at")
    first, *others = sell(4, apart=QUARTER)
    deliver([first, *others], ["test.till"])
    began = timezone.now() - HOUR
    times = iter(Horizon(began + n * 10 * MINUTE, began + n * 10 * MINUTE) for n in range(6))
    monkeypatch.setattr(keeping, "look", lambda: next(times))
    read_book(book)
    Sale.objects.update(changed_at=began)
    Sale.objects.filter(pk__in=[row.pk for row in others]).update(status="void")
    time_for_two()
    assert read_on(book, 1) == [(2, True)]
    Sale.objects.filter(pk=first.pk).update(status="new", changed_at=began + 15 * MINUTE)

    assert read_on(book, 1) == [(2, False)]
    assert standing() == []
    read_on(book, 1)

    assert standing() == [("not_done", str(first.pk), "test.till")]


def test_a_reading_without_a_time_limit_begins_anew(sales, time_for_two):
    sell(4, apart=QUARTER)
    read_book(sales)
    time_for_two()

    assert read_on(sales, 1) == [(2, True)]
    assert read_book(sales).windows == 4
