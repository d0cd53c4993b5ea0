"""Consumers outside any transaction, what handlers have met, and what is done while the engine waits."""

from datetime import timedelta

import pytest

from outbox import Reject, Snooze, Unavailable
from outbox.delivery import database_errors
from tests.shop import consumers as shop
from tests.shop.consumers import leave_effect


@pytest.fixture
def faults():
    """The SQLSTATEs of the errors that handlers have met: the proof that a fault has fired."""
    return []


@pytest.fixture
def order(listen):
    """Make a consumer that is called outside any transaction."""
    return lambda handler=shop.order, **options: listen(handler, atomic=False, timeout=timedelta(seconds=2), **options)


@pytest.fixture
def called(listen):
    """The consumer, and the ids of the messages that it was called for."""
    ids: list[int] = []

    def note(message):
        ids.append(message.pk)
        leave_effect(message)
        match message.payload.get("do"):
            case "fail":
                raise ValueError("the till is jammed")
            case "reject":
                raise Reject("not for sale")
            case "snooze":
                raise Snooze(timedelta(minutes=1))
            case "unavailable":
                raise Unavailable("the bank does not answer")

    def register(**options):
        return listen(note, **options)

    register.ids = ids
    return register


@pytest.fixture
def waits(monkeypatch):
    """What is done when the engine waits for the database, once each; the proof that it has waited."""
    todo, done = [], []

    def wait(_seconds):
        assert todo, "the engine waits, and nothing will bring the database back"
        step = todo.pop(0)
        step()
        done.append(step)

    monkeypatch.setattr(database_errors, "sleep", wait)
    return todo, done
