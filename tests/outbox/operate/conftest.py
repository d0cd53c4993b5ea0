"""The desk's consumers, people and plain static files, and a consumer that came later."""

from collections.abc import Iterator

import pytest

from outbox import consumer, registry
from tests.harness.closings import declare
from tests.harness.desk import TOPIC, consumers, desk, hints, lead, plain_static_files, viewer
from tests.outbox.operate.replaying import LATER

__all__ = ["consumers", "declare", "desk", "hints", "lead", "plain_static_files", "viewer"]


@pytest.fixture
def later() -> Iterator[str]:
    """A consumer that was added when all had been published."""
    consumer(TOPIC, name=LATER)(lambda _message: None)
    yield LATER
    registry.forget_consumer(LATER)
