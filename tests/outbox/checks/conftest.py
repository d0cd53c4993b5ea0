"""A host with one consumer, whatever the project itself has."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outbox import consumer, registry
from outbox.books import declaring


def sell(message: Any) -> None: ...


@pytest.fixture
def only() -> Iterator[Callable[..., None]]:
    """Return a function that makes one consumer, in place of all others."""
    before, books = dict(registry._consumers), dict(declaring._books)

    def make(**options: Any) -> None:
        clear()
        consumer("test.sold", name="test.sell", **options)(sell)

    def clear() -> None:
        declaring._books.clear()
        for entry in registry.all_consumers():
            registry.forget_consumer(entry.name)

    make.clear = clear
    yield make
    clear()
    registry._consumers.update(before)
    declaring._books.update(books)
    registry._listening.cache_clear()
