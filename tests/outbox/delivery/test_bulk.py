"""Consumers with ``bulk=True``: called once for all, and again for each alone if that fails."""

import pytest

from outbox.delivery import chunks
from tests.harness.messages import (
    MessageState,
    effects,
    kept_attempts,
    publish_message,
    state_of,
    states_of,
)
from tests.shop.models import Effect

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


DONE = MessageState("success", attempts=1, attempt_limit=3)


@pytest.fixture
def calls(listen):
    """The lists of keys with which the bulk consumer was called."""
    made: list[list[str]] = []

    def count(messages):
        made.append([message.key for message in messages])
        for message in messages:
            Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=1)
            if message.payload.get("do") == "fail":
                raise ValueError("cannot count this")

    listen(count, bulk=True, chunk=100)
    return made


def test_a_bulk_consumer_is_called_once_for_all(calls):
    ids = [publish_message(key=str(n)) for n in range(60)]

    chunks.deliver("test.till", ids)

    assert calls == [[str(n) for n in range(60)]]
    assert states_of(ids) == [DONE] * 60
    assert effects() == [(id, 1) for id in ids]


def test_a_bulk_call_that_fails_is_made_again_in_lists_of_one_within_the_same_attempt(calls):
    good, bad, other = publish_message(key="good"), publish_message(key="bad", do="fail"), publish_message(key="other")

    chunks.deliver("test.till", [good, bad, other])

    assert calls == [["good", "bad", "other"], ["good"], ["bad"], ["other"]]
    error = "ValueError: cannot count this"
    assert states_of([good, bad, other]) == [
        DONE,
        MessageState("pending", attempts=1, attempt_limit=3, last_error=error),
        DONE,
    ]
    assert effects() == [(good, 1), (other, 1)]
    assert kept_attempts(bad) == [(1, "failed", error)]


def test_a_single_message_reaches_a_bulk_consumer_as_a_list(calls):
    id = publish_message(key="only")

    chunks.deliver("test.till", [id])

    assert calls == [["only"]]
    assert state_of(id) == DONE
