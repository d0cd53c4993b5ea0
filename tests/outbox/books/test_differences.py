"""The four ways in which business and messages disagree: each is found once, listed, and gone when it is mended."""

from datetime import timedelta

import pytest

from outbox.books import keeping, orphans
from outbox.books.keeping import read_book
from outbox.models import BookDifference, BookWindow, Message
from tests.harness.ledger import deliver, fail, message_of, open_again, sell
from tests.shop.models import Sale

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)


@pytest.fixture(params=["few", "many", "all at once"], autouse=True)
def _however_many(request, monkeypatch):
    """Let messages without a row be found by the index of the key (few), by its text (many), or in passing.

    All at once is read what is long, where all messages are to be looked at anyway.
    """
    if request.param != "few":
        monkeypatch.setattr(orphans, "BLOCK", 0)
    if request.param == "all at once":
        monkeypatch.setattr(keeping, "SPAN", 0)


def test_a_book_in_which_everything_fits_has_no_difference(sales, standing):
    deliver(sell(5, apart=QUARTER))

    run = read_book(sales)

    assert (run.found, standing()) == (0, [])
    assert {window.state for window in BookWindow.objects.all()} == {"balanced"}


def test_a_business_row_without_any_message_is_found_once_and_gone_when_it_has_one(sales, standing):
    fits, lonely = sell(2)
    deliver([fits])

    assert read_book(sales).found == 1
    assert read_book(sales).found == 0
    assert standing() == [("no_message", str(lonely.pk), "")]

    deliver([lonely])
    read_book(sales)

    assert standing() == []
    assert BookDifference.objects.get().gone_at is not None


def test_a_row_that_lacks_the_message_of_one_consumer_is_found_by_its_neighbours(sales, standing):
    rows = sell(9, apart=QUARTER / 3)
    deliver(rows)
    Message.objects.filter(key=str(rows[4].pk), consumer="test.other").delete()

    read_book(sales)

    assert standing() == [("no_message", str(rows[4].pk), "test.other")]


def test_a_message_without_business_row_is_found_once_and_gone_when_it_is_pruned(sales, standing):
    kept, lost = sell(2)
    [_kept, _other, orphan] = [*deliver([kept]), *deliver([lost], ["test.till"])]
    Sale.objects.filter(pk=lost.pk).delete()

    assert (read_book(sales).found, read_book(sales).found) == (1, 0)
    assert standing() == [("no_business", str(lost.pk), "test.till")]
    assert BookDifference.objects.get().message_id == orphan.pk

    orphan.delete()
    read_book(sales)

    assert standing() == []


@pytest.mark.parametrize("disturb", [open_again, fail])
def test_a_message_that_is_open_or_failed_while_its_row_is_done_is_found(sales, standing, disturb):
    rows = sell(3)
    messages = deliver(rows)
    disturb(messages[2])

    assert (read_book(sales).found, read_book(sales).found) == (1, 0)
    assert standing() == [("not_settled", messages[2].key, "test.till")]

    Sale.objects.filter(pk=rows[1].pk).update(status="new")
    read_book(sales)

    assert [kind for kind, key, _consumer in standing() if key == messages[2].key] == ["not_done"]


def test_a_success_whose_row_is_not_done_is_found_and_gone_when_the_row_follows(sales, standing):
    rows = sell(3)
    deliver(rows, ["test.till"])
    Sale.objects.filter(pk=rows[1].pk).update(status="new")

    assert (read_book(sales).found, read_book(sales).found) == (1, 0)
    assert standing() == [("not_done", str(rows[1].pk), "test.till")]

    Sale.objects.filter(pk=rows[1].pk).update(status="void")
    read_book(sales)

    assert standing() == []


def test_consumers_that_do_not_settle_a_row_need_a_message_and_nothing_else(declare, standing):
    book = declare(settled_by=["test.till"])
    rows = sell(3)
    messages = deliver(rows)
    open_again(messages[1])

    read_book(book)

    assert standing() == []


def test_a_consumer_that_was_added_later_is_missing_nowhere(sales, standing):
    rows = sell(40, apart=QUARTER / 5)
    deliver(rows[:17], ["test.till"])
    deliver(rows[17:])

    read_book(sales)

    assert standing() == []


def test_a_row_just_before_midnight_and_its_message_just_after_it_belong_together(sales, standing):
    [row] = sell()
    Sale.objects.filter(pk=row.pk).update(
        sold_at=row.sold_at.replace(hour=23, minute=59, second=59, microsecond=900000)
    )
    deliver([row], created_at=row.sold_at.replace(hour=0, minute=0, second=0, microsecond=100000) + timedelta(days=1))

    read_book(sales)

    assert standing() == []


def test_what_is_younger_than_the_minimum_age_does_not_count(declare, standing):
    book = declare(minimum_age=timedelta(minutes=10))
    sell(age=timedelta(minutes=5))
    old, *_ = sell(age=timedelta(minutes=20), status="new")
    deliver([old], ["test.till"], finished_at=old.sold_at + timedelta(minutes=15))

    read_book(book)

    assert standing() == []


def test_replays_are_no_second_promise(sales, standing):
    [row] = sell()
    deliver([row])
    Message.objects.bulk_create([message_of(row, replay=1, status="pending", finished_at=None)])

    read_book(sales)

    assert standing() == []


def test_rows_are_found_by_a_uuid_as_well(declare, standing):
    book = declare(key="number")
    kept, lost, lonely = sell(3)
    for row in (kept, lost):
        deliver([row], ["test.till"], key=str(row.number))
    Sale.objects.filter(pk=lost.pk).delete()

    read_book(book)

    assert standing() == [("no_business", str(lost.number), "test.till"), ("no_message", str(lonely.number), "")]


def test_a_key_that_is_no_business_key_is_a_message_without_row(sales, standing):
    [row] = sell()
    deliver([row], ["test.till"])
    deliver([row], ["test.other"], key=f"0{row.pk}")

    read_book(sales)

    assert standing() == [("no_business", f"0{row.pk}", "test.other")]


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 1_855_473_923_004_174_336])
def test_a_row_is_found_by_a_number_of_nineteen_digits_and_what_is_larger_is_no_key(sales, standing, number):
    [row] = sell()
    Sale.objects.update(id=number)
    row.pk = number
    deliver([row], ["test.till"])
    none = [str(2**63), str(-(2**63) - 1), "9999999999999999999", "12345678901234567890"]
    for key in none:
        deliver([row], ["test.other"], key=key)

    read_book(sales)

    assert standing() == [("no_business", key, "test.other") for key in sorted(none)]


def test_a_topic_pattern_takes_its_own_topics_and_no_others(declare, standing):
    book = declare(topic="test.sale.*")
    [row] = sell()
    deliver([row], ["test.till"], topic="test.sale.online")
    deliver([row], ["test.other"], topic="test.sale.online.twice", key="no row")

    read_book(book)

    assert standing() == []


def test_rows_that_have_a_message_of_one_topic_or_of_another_lack_none(declare, standing):
    """No topic has a message of every row, so what is counted of the messages does not tell."""
    book = declare(topic="test.*")
    first, second, neither = sell(3)
    deliver([first], ["test.till"])
    deliver([second], ["test.till"], topic="test.gift")

    read_book(book)

    assert standing() == [("no_message", str(neither.pk), "")]
    assert BookWindow.objects.get().missing == 1


def test_rows_and_messages_outside_the_span_that_is_read_are_no_difference(declare, standing):
    """What is from before the book began is not accounted for, nor is what is too young; and its messages have rows."""
    book = declare(minimum_age=timedelta(minutes=10))
    deliver(sell(age=timedelta(days=400)), ["test.till"])
    deliver(sell(age=MINUTE), ["test.till"])
    sell(age=timedelta(days=400))
    sell(age=MINUTE)

    read_book(book)

    assert standing() == []
    assert not BookWindow.objects.exists()
