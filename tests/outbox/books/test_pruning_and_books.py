"""Pruning leaves what a book has not balanced, and takes the rest."""

from datetime import timedelta

import pytest
from django.utils import timezone

from outbox.books.declaring import forget_book
from outbox.books.explaining import explain
from outbox.books.keeping import read_book
from outbox.books.running import go_on
from outbox.maintenance.pruning import prune
from outbox.models import BookDifference, BookState, BookWindow, Message
from outbox.models.book import window_of
from tests.harness.ledger import deliver, fail, message_of, sell
from tests.shop.models import Sale

pytestmark = pytest.mark.django_db(transaction=True)

OLD = timedelta(days=20)
SHORT = timedelta(days=10)


@pytest.fixture
def kept_for_ten_days(configure):
    """Have what is twenty days old be due for pruning."""

    def shorten():
        configure(KEEP_FINISHED=SHORT)

    return shorten


def test_what_has_balanced_is_pruned(sales, kept_for_ten_days):
    deliver(sell(3, age=OLD))
    read_book(sales)
    kept_for_ten_days()

    assert prune().messages == 6


def test_a_window_that_does_not_balance_keeps_its_messages_until_it_does(sales, kept_for_ten_days, standing):
    rows = sell(2, age=OLD)
    deliver(rows, ["test.till"])
    deliver(sell(age=OLD - timedelta(hours=5)))
    Sale.objects.filter(pk=rows[0].pk).update(status="new")
    read_book(sales)
    kept_for_ten_days()

    assert prune().messages == 2
    assert Message.objects.count() == 2
    read_book(sales)
    assert standing() == [("not_done", str(rows[0].pk), "test.till")]

    Sale.objects.filter(pk=rows[0].pk).update(status="paid")
    read_book(sales)

    assert prune().messages == 2


def test_what_was_never_read_is_not_pruned(sales, kept_for_ten_days):
    read_book(sales)
    deliver(sell(age=OLD))
    BookState.objects.update(read_until=BookState.objects.get().began_at)
    kept_for_ten_days()

    assert prune().messages == 0


def test_a_message_without_its_row_is_kept_until_somebody_has_explained_it(sales, kept_for_ten_days):
    [row] = sell(age=OLD)
    deliver([row], ["test.till"])
    row.delete()
    read_book(sales)
    kept_for_ten_days()
    assert prune().messages == 0

    explain(BookDifference.objects.get().pk, actor="ada", reason="deleted on request", origin="test")

    assert prune().messages == 1


def test_topics_without_a_book_are_pruned_as_ever(sales, kept_for_ten_days):
    read_book(sales)
    [row] = sell(age=OLD)
    Message.objects.bulk_create([message_of(row, topic="test.other")])
    kept_for_ten_days()

    assert prune().messages == 1


def test_balanced_messages_that_were_pruned_are_no_difference(sales, kept_for_ten_days, standing):
    deliver(sell(3, age=OLD))
    read_book(sales)
    kept_for_ten_days()
    prune()
    BookState.objects.update(reread_at=None, swept_at=None)

    read_book(sales)

    assert (Message.objects.count(), standing()) == (0, [])


def test_a_book_that_only_another_release_knows_keeps_its_messages(sales, kept_for_ten_days):
    deliver(sell(age=OLD))
    read_book(sales)
    forget_book("sales")
    kept_for_ten_days()

    assert prune().messages == 0


@pytest.fixture
def read_for_years(sales):
    """Have the book have been read for two years."""
    read_book(sales)
    BookState.objects.update(began_at=timezone.now() - timedelta(days=730))


@pytest.mark.usefixtures("read_for_years")
def test_messages_that_are_settled_after_their_window_was_forgotten_are_pruned(sales):
    rows = sell(2, age=timedelta(days=500))
    messages = deliver(rows, ["test.till"])
    fail(messages[0])
    BookWindow.objects.create(book="sales", number=window_of(rows[0].sold_at), state="unbalanced")
    assert prune().messages == 0

    Message.objects.filter(pk=messages[0].pk).update(status="success", exhausted_at=None, resolution="handled")
    BookState.objects.update(ran_at=None)
    go_on()
    assert not BookWindow.objects.exists()
    assert prune().messages == 1

    Message.objects.update(finished_at=rows[0].sold_at)
    assert prune().messages == 1


@pytest.mark.usefixtures("read_for_years")
def test_messages_of_a_row_that_is_dated_back_too_far_to_be_read_are_pruned(sales):
    deliver(sell(age=timedelta(days=400)), ["test.till"])
    read_book(sales)

    assert prune().messages == 1
