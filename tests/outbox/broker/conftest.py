"""The broker under a test's hand, and a connection to the real one."""

import threading

import pytest

from outbox.broker import dispatcher
from outbox.broker.connection import BrokerConnection, Hint
from outbox.errors import BrokerAway
from tests.harness.threads import TIMEOUT


class Broker:
    """What the dispatcher's connection does, under the test's hand."""

    def __init__(self) -> None:
        self.sent: list[Hint] = []
        self.depth_now = 0
        self.asked = 0
        self.away = False
        self.error: Exception | None = None
        self.sending = threading.Event()
        self.answers = threading.Event()
        self.answers.set()
        self.takes = True

    def depth(self, consumer: str) -> int:
        self.asked += 1
        if self.away:
            raise BrokerAway("the broker is away")
        return self.depth_now

    def send(self, hints: list[Hint]) -> list[Hint]:
        self.sending.set()
        if not self.answers.wait(TIMEOUT / 3):
            self.answers.set()
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if not self.takes:
            return hints
        self.sent += hints
        return []

    def close(self) -> None:
        """Nothing to close."""

    abandon = close


@pytest.fixture
def broker(monkeypatch, listen):
    listen()
    broker = Broker()
    monkeypatch.setattr(dispatcher, "BrokerConnection", lambda: broker)
    monkeypatch.setattr(dispatcher, "LINGER", 0.0)
    yield broker
    broker.answers.set()
    dispatcher.drain()


@pytest.fixture
def link(listen):
    listen()
    link = BrokerConnection()
    yield link
    link.abandon()
