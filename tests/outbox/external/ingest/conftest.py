"""A source for one test, and messages as its sender would give them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outbox import receive, sources
from outbox.sources import Incoming, Source

Came = Callable[..., Incoming]


@pytest.fixture
def source(listen: Any) -> Iterator[Callable[..., Source]]:
    """Declare a source that is gone after the test; a consumer of ``test.sold`` is there for it."""
    listen()
    names: list[str] = []

    def declare(name: str = "partner", **options: Any) -> Source:
        queue = options.pop("queue", f"{name}.events")
        receive(queue, source=name, **{"topic": lambda m: f"test.{m.properties['type']}", **options})
        names.append(name)
        found = sources.get_source(name)
        assert found is not None
        return found

    yield declare
    for name in names:
        sources.forget_source(name)


@pytest.fixture
def came() -> Came:
    """Make a message of the partner's, with an id, a type and a body of JSON unless they are given."""

    def make(id: Any = "1", body: Any = None, *, source: str = "partner", type: str = "sold", **more: Any) -> Incoming:
        raw = body if isinstance(body, bytes) else json.dumps({"order": 7} if body is None else body).encode()
        properties = {"message_id": id, "type": type, **more.pop("properties", {})}
        given = {name: value for name, value in properties.items() if value is not None}
        return Incoming(source=source, queue=f"{source}.events", body=raw, properties=given, **more)

    return make
