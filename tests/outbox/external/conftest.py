"""Checks and forwards that are gone after the test, and exchanges."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from kombu import Exchange

from outbox import Backoff, check_back, forward, registry
from outbox.broker.queues import celery_app
from outbox.declared import Consumer
from outbox.external.halves import check_backs
from tests.outbox.conftest import SLOW

NAME = "test.forward"
WAITS = Backoff(limit=3, first=timedelta(seconds=10), factor=2, jitter=0)


class Check:
    """A check that gives the answers it is told to, the last one again and again; exceptions are raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), []

    def __call__(self, half: Any) -> Any:
        self.asked.append(half)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer


@pytest.fixture
def checked() -> Iterator[Callable[..., Check]]:
    """Declare the check ``test.check`` with these answers."""

    def declare(*answers: Any, **options: Any) -> Check:
        check_backs.forget_check("test.check")
        made = Check(*answers or (None,))
        check_back("test.check", **{"retry": WAITS, **options})(made)
        return made

    yield declare
    check_backs.forget_check("test.check")


@pytest.fixture
def broker_url() -> str:
    """The address of the broker that is Celery's as well."""
    return str(celery_app().conf.broker_url)


@pytest.fixture
def exchange(broker_url) -> Iterator[Exchange]:
    """A topic exchange of the test's own, at the broker that was Celery's before the test changed that."""
    exchange = Exchange(f"test.{uuid4().hex[:8]}", type="topic")
    yield exchange
    with celery_app().connection_for_write(broker_url) as connection:
        connection.channel().exchange_delete(exchange.name)


@pytest.fixture
def lead(exchange) -> Iterator[Callable[..., Consumer]]:
    """Make forwards of ``test.sold`` that are gone after the test."""
    names = []

    def make(*, name: str = NAME, pattern: str = "test.sold", **options: Any) -> Consumer:
        registry.forget_consumer(name)
        forward(name, pattern, **{"exchange": exchange, "retry": SLOW, **options})
        names.append(name)
        return registry.get(name)

    yield make
    for name in names:
        registry.forget_consumer(name)
