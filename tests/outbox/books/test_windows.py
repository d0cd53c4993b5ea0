"""What is remembered of a book: what has balanced is not read again, until something may have changed in it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from outbox.books import horizon, keeping, orphans
from outbox.books.keeping import read_book
from outbox.errors import BookBusy, BookRefused
from outbox.models import BookDifference, BookState, BookWindow
from outbox.operate.operator_action import Actor
from tests.harness.ledger import deliver, open_again, sell
from tests.shop.models import Sale

pytestmark = pytest.mark.django_db(transaction=True)

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
ADA: Actor = "ada"


def a_day_passes() -> None:
    """Have what was read today have been read the day before yesterday."""
    BookState.objects.update(reread_at=F("reread_at") - 2 * DAY, swept_at=F("swept_at") - 2 * DAY)
    BookWindow.objects.update(read_at=F("read_at") - 2 * DAY)


def test_what_has_balanced_is_not_read_again(sales):
    deliver(sell(5, apart=QUARTER))

    first, second = read_book(sales), read_book(sales)

    assert (first.windows, second.windows) == (5, 0)


def test_a_window_in_which_a_message_is_open_is_read_again_until_it_is_not(sales):
    rows = sell(3, apart=QUARTER, status="new")
    messages = deliver(rows[:1], ["test.till"])
    open_again(messages[0])
    Sale.objects.filter(pk__in=[row.pk for row in rows[1:]]).delete()

    read_book(sales)
    assert read_book(sales).windows == 1

    messages[0].save()
    Sale.objects.filter(pk=rows[0].pk).update(status="paid")
    read_book(sales)

    assert read_book(sales).windows == 0


def test_what_was_changed_behind_the_application_s_back_is_found_in_the_next_night(sales, standing):
    rows = sell(3)
    deliver(rows)
    read_book(sales)
    Sale.objects.filter(pk=rows[1].pk).update(status="new")

    read_book(sales)
    assert standing() == []

    a_day_passes()
    read_book(sales)

    assert {kind for kind, _key, _consumer in standing()} == {"not_done"}


def test_a_row_that_was_written_into_a_past_window_is_found_in_the_next_night(sales, standing):
    read_book(sales)
    [late] = sell()

    read_book(sales)
    assert standing() == []

    a_day_passes()
    read_book(sales)

    assert standing() == [("no_message", str(late.pk), "")]


def test_a_book_that_names_a_column_of_changes_finds_them_at_once(declare, standing):
    book = declare(changed="changed_at")
    rows = sell(3)
    deliver(rows)
    read_book(book)
    read_book(book)
    Sale.objects.filter(pk=rows[1].pk).update(status="new", changed_at=timezone.now() - timedelta(minutes=2))
    BookState.objects.update(changed_at=timezone.now() - timedelta(minutes=3))

    read_book(book)

    assert {kind for kind, _key, _consumer in standing()} == {"not_done"}


def test_a_span_that_is_asked_for_hides_no_change_that_lies_outside_it(declare, standing):
    book = declare(changed="changed_at")
    early, late = sell(2, apart=5 * timedelta(hours=1))
    deliver([early, late])
    read_book(book)
    BookState.objects.update(changed_at=timezone.now() - timedelta(hours=3), ran_at=timezone.now() - DAY)
    before = BookState.objects.get().ran_at
    Sale.objects.filter(pk=early.pk).update(status="new", changed_at=timezone.now() - timedelta(hours=2))

    read_book(book, since=late.sold_at - QUARTER, until=late.sold_at + QUARTER)
    assert (BookState.objects.get().ran_at, standing()) == (before, [])
    read_book(book)

    assert {(kind, key) for kind, key, _consumer in standing()} == {("not_done", str(early.pk))}


def test_a_business_row_that_is_deleted_is_found_in_the_next_night(sales, standing):
    rows = sell(2)
    deliver(rows, ["test.till"])
    read_book(sales)
    Sale.objects.filter(pk=rows[0].pk).delete()
    a_day_passes()

    read_book(sales)

    assert standing() == [("no_business", str(rows[0].pk), "test.till")]


@pytest.mark.parametrize("block", [0, orphans.BLOCK])
def test_a_message_without_row_that_is_too_young_is_found_once_it_is_not(declare, standing, monkeypatch, block):
    monkeypatch.setattr(orphans, "BLOCK", block)
    book = declare(minimum_age=timedelta(minutes=10))
    [row] = sell(age=timedelta(minutes=5))
    deliver([row], ["test.till"])
    row.delete()
    read_book(book)
    assert standing() == []

    book.minimum_age = timedelta(minutes=1)
    read_book(book)

    assert [kind for kind, _key, _consumer in standing()] == ["no_business"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite compares span by span")
def test_a_long_first_reading_compares_rows_and_messages_by_one_statement(sales, monkeypatch):
    monkeypatch.setattr(keeping, "SPAN", 0)
    monkeypatch.setattr(orphans, "BLOCK", 0)
    deliver(sell(50, apart=QUARTER))

    with CaptureQueriesContext(connection) as queries:
        run = read_book(sales)

    assert len(comparisons(queries)) == 1
    assert (run.windows, run.found) == (50, 0)
    assert BookState.objects.get().swept_to == orphans.newest()


def comparisons(queries: CaptureQueriesContext) -> list[str]:
    """Return the statements that compare business rows with messages."""
    said = [str(query["sql"]) for query in queries.captured_queries]
    return [sql for sql in said if "shop_sale" in sql and "outbox_message" in sql and "exhausted_at" not in sql]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_window_stays_open_while_a_transaction_runs_that_is_older_than_its_end(sales):
    begun, over = threading.Event(), threading.Event()

    def run() -> None:
        try:
            with transaction.atomic():
                Sale.objects.count()
                begun.set()
                over.wait(30)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert begun.wait(30)
        seen = horizon.look()
        assert seen.settled < seen.now - horizon.CLOCKS_APART
        later = horizon.look()
        assert later.settled == seen.settled
    finally:
        over.set()
        thread.join()
    assert horizon.look().settled > seen.settled


def test_what_a_running_transaction_may_still_write_into_is_read_again(sales, monkeypatch, standing):
    now = horizon.look().now
    monkeypatch.setattr(keeping, "look", lambda: horizon.Horizon(now, now - 40 * timedelta(hours=1)))
    deliver(sell())
    read_book(sales)
    assert {window.state for window in BookWindow.objects.all()} == {"open"}

    [late] = sell(age=timedelta(hours=20))
    read_book(sales)

    assert standing() == [("no_message", str(late.pk), "")]


def test_two_do_not_read_one_book_at_once(sales):
    read_book(sales)
    BookState.objects.update(held_until=timezone.now() + DAY)

    with pytest.raises(BookBusy):
        read_book(sales)

    BookState.objects.update(held_until=timezone.now() - DAY)
    read_book(sales)
    assert BookState.objects.get().held_until is None


def test_a_book_is_not_asked_about_what_may_have_been_pruned(sales):
    with pytest.raises(BookRefused, match="pruned"):
        read_book(sales, since=timezone.now() - timedelta(days=30))


def test_rows_from_before_the_book_began_are_not_accounted_for(sales, standing):
    sell(age=timedelta(days=40))

    read_book(sales)

    assert standing() == []


def test_a_reading_that_has_no_time_left_goes_on_where_it_stopped(sales, standing):
    [lonely] = sell(age=timedelta(days=20))
    deliver(sell())

    first = read_book(sales, budget=timedelta(0))
    assert (first.more, first.windows, BookState.objects.get().ran_at) == (True, 0, None)

    assert not read_book(sales, budget=timedelta(minutes=5)).more
    assert standing() == [("no_message", str(lonely.pk), "")]


def test_a_span_that_is_asked_for_is_read_anew_and_nothing_else(sales, standing):
    early, late = sell(2, apart=5 * timedelta(hours=1))
    deliver([early, late])
    read_book(sales)
    Sale.objects.update(status="new")

    read_book(sales, since=late.sold_at - QUARTER, until=late.sold_at + QUARTER)

    assert {key for _kind, key, _consumer in standing()} == {str(late.pk)}
    assert BookDifference.objects.count() == 2
