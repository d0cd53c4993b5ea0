"""More differences of one kind than a list has room for: none is forgotten, and none is hidden for good."""

import pytest

from outbox.books import reading
from outbox.books.explaining import explain
from outbox.books.keeping import read_book
from outbox.models import BookDifference, BookWindow
from tests.harness.ledger import deliver, open_again, sell
from tests.shop.models import Sale

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 5


@pytest.fixture(autouse=True)
def _room_for_two(monkeypatch):
    monkeypatch.setattr(reading, "LISTED", 2)


def without_message():
    """Sell what nobody is told of."""
    sell(MANY)


def not_settled():
    """Sell what is done, and whose message is open."""
    for message in deliver(sell(MANY), ["test.till"]):
        open_again(message)


def not_done():
    """Sell what is not done, and whose message has succeeded."""
    deliver(sell(MANY, status="new"), ["test.till"])


def explain_all():
    """Explain whatever is listed and not explained; return how many."""
    rows = list(BookDifference.objects.unexplained())
    for row in rows:
        explain(row.pk, actor="ada", reason="known", origin="test")
    return len(rows)


@pytest.mark.parametrize("disturb", [without_message, not_settled, not_done])
def test_what_is_explained_makes_room_for_what_nobody_has_seen(sales, disturb):
    disturb()

    seen = []
    for _reading in range(4):
        read_book(sales)
        states = set(BookWindow.objects.values_list("state", flat=True))
        seen.append((explain_all(), states == {"unbalanced"}))

    assert seen == [(2, True), (2, True), (1, True), (0, False)]
    assert BookDifference.objects.explained().count() == MANY


def test_what_is_pushed_off_the_end_of_a_list_is_not_gone(sales, standing):
    first, second, *_others = sorted(sell(MANY), key=lambda row: str(row.pk))
    read_book(sales)
    assert [key for _kind, key, _consumer in standing()] == [str(first.pk), str(second.pk)]

    [early] = sell()
    Sale.objects.filter(pk=early.pk).update(id=-1)
    read_book(sales)

    assert [key for _kind, key, _consumer in standing()] == ["-1", str(first.pk), str(second.pk)]


def test_what_is_mended_is_gone_although_the_list_is_cut_off(sales, standing):
    first, second, third, *_others = sorted(sell(MANY), key=lambda row: str(row.pk))
    read_book(sales)

    deliver([first])
    read_book(sales)

    assert [key for _kind, key, _consumer in standing()] == [str(second.pk), str(third.pk)]


def test_a_row_with_messages_of_two_topics_is_one_difference(declare, standing):
    book = declare(topic="test.*")
    rows = sell(status="new")
    for topic in ("test.sale", "test.gift"):
        deliver(rows, ["test.till"], topic=topic)

    assert read_book(book).found == 1
    assert standing() == [("not_done", str(rows[0].pk), "test.till")]
