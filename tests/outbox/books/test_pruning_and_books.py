"""Pruning leaves what a book has not balanced, and takes the rest."""

from datetime import timedelta

import pytest

from outbox.books.declaring import forget_book
from outbox.books.explaining import explain
from outbox.books.keeping import read_book
from outbox.maintenance.pruning import prune
from outbox.models import BookDifference, BookState, Message
from tests.harness.ledger import deliver, message_of, sell
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
