"""A book that is declared wrongly is refused at start-up, or by ``manage.py check``, with what to do."""

from datetime import timedelta

import pytest
from django.db.models import Q

from outbox import Book, book
from outbox.books.declaring import all_books
from outbox.checks.books import check_books
from outbox.errors import ConsumerError
from tests.harness.ledger import SaleBook
from tests.shop.models import Sale


def found_by_check():
    return [(message.id, message.msg) for message in check_books()]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"since": None}, "since must be given"),
        ({"done": True}, "done must be given"),
        ({"business": Sale}, "business must be given"),
        ({"topic": "no topic!"}, "no topic"),
        ({"closed": "void"}, "closed must be a Q"),
        ({"settled_by": "test.till"}, "not one text"),
        ({"minimum_age": 60}, "minimum_age must be a timedelta"),
    ],
)
def test_a_book_that_lacks_something_is_refused_at_start_up(attributes, said):
    with pytest.raises(ConsumerError, match=said):
        book("wrong")(type("Wrong", (SaleBook,), attributes))

    assert "wrong" not in [one.name for one in all_books()]


@pytest.mark.parametrize("name", ["", "two words", "x" * 61, None])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ConsumerError, match="name is words"):
        book(name)


@pytest.mark.parametrize("every", [timedelta(0), 600])
def test_how_often_must_be_a_span(every):
    with pytest.raises(ConsumerError, match="every must be a timedelta"):
        book("sales", every=every)


def test_what_is_no_book_is_refused():
    with pytest.raises(ConsumerError, match=r"derived from outbox\.Book"):
        book("sales")(dict)


def test_two_books_of_one_name_are_refused_and_one_imported_again_is_not(declare):
    declare()
    again = type("TestBook", (SaleBook,), {"__module__": "tests.outbox.books.conftest"})

    assert book("sales")(again) is again
    with pytest.raises(ConsumerError, match="two books"):
        book("sales")(type("Another", (SaleBook,), {}))


def test_a_good_book_has_nothing_for_check(declare):
    declare(changed="changed_at", key="number", sealed=["status"])

    assert found_by_check() == []


def test_business_on_another_database_is_refused(sales, monkeypatch):
    monkeypatch.setattr("django.db.router.db_for_write", lambda model, **_hints: "elsewhere")

    assert [id for id, msg in found_by_check() if "'elsewhere'" in msg] == ["outbox.E020"] * len(all_books())


@pytest.mark.parametrize(
    "attributes",
    [
        {"since": "status"},
        {"since": "nothing"},
        {"changed": "amount"},
        {"key": "nothing"},
        {"sealed": ["nothing"]},
        {"done": Q(paid=True)},
        {"closed": Q(nothing=1)},
    ],
)
def test_what_is_no_field_of_the_row_is_an_error(declare, attributes):
    declare(**attributes)

    assert [id for id, _msg in found_by_check()] == ["outbox.E021"]


def test_a_field_without_index_is_warned_of(declare):
    declare(key="amount")

    assert [id for id, _msg in found_by_check()] == ["outbox.W070"]


def test_a_consumer_that_is_not_there_is_warned_of(declare):
    declare(settled_by=["test.nobody"])

    assert [id for id, _msg in found_by_check()] == ["outbox.W071"]


def test_the_awards_have_a_book():
    [awards] = [one for one in all_books() if one.name == "awards"]

    assert (awards.topic, awards.since, awards.every) == ("award.won.*", "won_at", timedelta(minutes=10))
    assert isinstance(awards, Book)
