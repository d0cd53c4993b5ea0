"""A consumer with hooks, and what it is told when its messages are closed by hand."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from outbox import Closing, consumer, registry
from tests.harness.rows import Rows

TOLD = "desk.told"
told = Rows(TOLD, topic=TOLD, attempt_limit=3)
"""Messages to the consumer of that name."""

Hook = Callable[[Sequence[Closing]], object]
Declare = Callable[..., list[Closing]]


@pytest.fixture
def declare() -> Iterator[Declare]:
    """Make the consumer with one hook for everything, and return what it is told."""

    def declare(hook: Hook | None = None, **options: Any) -> list[Closing]:
        heard: list[Closing] = []

        def hear(closings: Sequence[Closing]) -> object:
            heard.extend(closings)
            return hook(closings) if hook else None

        given = options or {"on_handled": hear, "on_discarded": hear, "on_reopened": hear}
        consumer(TOLD, name=TOLD, **given)(lambda message: None)
        return heard

    yield declare
    registry.forget_consumer(TOLD)
