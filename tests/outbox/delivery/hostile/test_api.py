"""Handlers that use the engine's own functions where nobody expects it."""

import contextlib

import pytest
from django.db import transaction

from outbox import Message, Reject, Snooze, consumer, publish, registry
from outbox.delivery import chunks
from outbox.errors import KeyReused, OperatorError
from outbox.maintenance import rescan
from outbox.operate import consumers, messages
from tests.outbox.delivery.hostile.oracle import ATOMIC, BULK, Case, pairs

pytestmark = pytest.mark.services


def publishes_itself(message):
    with transaction.atomic():
        assert publish(message.topic, key=message.key, payload=message.payload) == []


def publishes_itself_otherwise(message):
    with transaction.atomic(), pytest.raises(KeyReused):
        publish(message.topic, key=message.key, payload={"other": "payload"})


def publishes_and_takes_it_back(message):
    with contextlib.suppress(LookupError), transaction.atomic():
        publish(message.topic, key=f"after {message.key}", payload={})
        raise LookupError
    assert not Message.objects.filter(key=f"after {message.key}").exists()


def settles_in_a_transaction(message):
    with message.settling():
        pass


def settles_twice(message):
    with message.settling(), message.settling():
        pass


def raises(error):
    def act(_message):
        raise error

    return act


def raises_what_cannot_be_made(_message):
    raise Snooze


def returns(make):
    return lambda _message: make()


async def coroutine():
    """Run never."""


class Strange:
    @property
    def __class__(self):
        raise RuntimeError("no class")

    def __bool__(self):
        raise RuntimeError("neither true nor false")

    __len__ = __eq__ = __iter__ = __await__ = __bool__
    __hash__ = None


def acts_as_an_operator(message):
    for other in Message.objects.exclude(pk=message.pk).order_by("pk"):
        for act in (messages.retry, messages.discard, messages.reopen):
            with pytest.raises(OperatorError):
                act(other.pk, revision=other.revision, actor="ada", reason="because")


def pauses_and_fails(message):
    with transaction.atomic():
        consumers.pause(message.consumer, seen=None, actor="ada", reason="because")
        raise ValueError("and then it failed")


def registers_its_name_again(message):
    consumer("test.sold", name=message.consumer)(lambda _message: None)


def forgets_its_consumer(message):
    registry.forget_consumer(message.consumer)


def delivers(pick):
    def act(message):
        chunks.deliver(message.consumer, [row.pk for row in Message.objects.order_by("pk") if pick(row, message)])

    return act


def rescans(_message):
    rescan.rescan()


CASES = [
    Case("API", "publishes itself", publishes_itself, reason=""),
    Case("API", "publishes itself with another payload", publishes_itself_otherwise, reason=""),
    Case("API", "publishes and takes it back", publishes_and_takes_it_back, reason=""),
    Case("API", "settles in a transaction", settles_in_a_transaction, ways=[ATOMIC, BULK], reason="no_tries_left"),
    Case("API", "settles twice", settles_twice, reason="no_tries_left"),
    Case("API", "Reject without words", raises(Reject), reason="rejected"),
    Case("API", "Snooze without a span", raises_what_cannot_be_made, reason="no_tries_left"),
    Case("API", "returns a coroutine", returns(coroutine)),
    Case("API", "returns what has no class", returns(Strange)),
    Case("API", "acts as an operator", acts_as_an_operator),
    Case("API", "pauses its consumer and fails", pauses_and_fails, reason="no_tries_left"),
    Case("API", "registers its name again", registers_its_name_again, reason="no_tries_left"),
    Case("API", "forgets its consumer", forgets_its_consumer, spoils=True),
    Case("API", "delivers its neighbours", delivers(lambda row, message: row.pk != message.pk)),
    Case("API", "rescans", rescans),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_uses_the_engine_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
