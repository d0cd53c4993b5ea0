"""A book of sales that is gone after the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outbox import Book, book
from outbox.books.declaring import forget_book
from outbox.models import BookDifference
from tests.harness.ledger import SaleBook

Declare = Callable[..., Book]


@pytest.fixture
def declare() -> Iterator[Declare]:
    """Declare the book of sales, or one like it with other attributes."""

    def make(name: str = "sales", **attributes: Any) -> Book:
        forget_book(name)
        made = book(name)(type("TestBook", (SaleBook,), {"__module__": __name__, **attributes}))
        return made()

    yield make
    forget_book("sales")


@pytest.fixture
def sales(declare: Declare) -> Book:
    """The book of sales."""
    return declare()


@pytest.fixture
def standing() -> Callable[[], list[tuple[str, str, str]]]:
    """What differs now: kind, key and consumer."""

    def read() -> list[tuple[str, str, str]]:
        found = BookDifference.objects.standing().order_by("kind", "key", "consumer")
        return list(found.values_list("kind", "key", "consumer"))

    return read
