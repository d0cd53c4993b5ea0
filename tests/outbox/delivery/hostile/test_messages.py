"""Handlers that change the message they were given, its row, and the rows of others."""

import pickle
import time

import pytest
from django.db.models import F
from django.db.models.functions import Now

from outbox import Message
from tests.outbox.delivery.hostile.oracle import ATOMIC, BULK, Case, effect, pairs
from tests.outbox.delivery.hostile.test_threads import in_a_thread

pytestmark = pytest.mark.services


def changes_its_fields(message):
    message.pk = message.id = 10**9
    message.attempts += 1
    message.status, message.consumer, message.transaction, message.settlement = "success", "nobody", "1", None


def changes_what_it_holds(message):
    message.payload["basket"] = object()
    message.headers.clear()
    message._state.db = "nowhere"


def saves_it(message):
    message.save()


def saves_it_as_a_success(message):
    message.status, message.finished_at, message.lease_until = "success", Now(), None
    message.save()


def writes_another_attempt(message):
    Message.objects.filter(pk=message.pk).update(attempts=F("attempts") + 1, attempt_limit=F("attempt_limit") + 1)


def deletes_it(message):
    message.delete()


def pickles_it(message):
    again = pickle.loads(pickle.dumps(message))
    assert (again.pk, again.key) == (message.pk, message.key)


def settles_it_later(message):
    def work():
        time.sleep(0.1)
        with message.settling():
            effect(message)

    in_a_thread(work, wait=False)


def fails_and_settles_it_later(message):
    settles_it_later(message)
    raise ValueError("not now")


def deletes_all(_message):
    Message.objects.all().delete()


def all_are_successes(_message):
    Message.objects.update(status="success", finished_at=Now(), lease_until=None)


def all_have_another_payload(_message):
    Message.objects.update(payload={"basket": "somebody else's"})


TAKEN_BACK = (ATOMIC, BULK)
"""Outside a transaction the write stands at once. Who writes into the engine's table there is believed."""

CASES = [
    Case("message", "changes its fields", changes_its_fields, ways=TAKEN_BACK, reason=""),
    Case("message", "changes what it holds", changes_what_it_holds, reason=""),
    Case("message", "saves it", saves_it),
    Case("message", "saves it as a success", saves_it_as_a_success, ways=TAKEN_BACK),
    Case("message", "writes another attempt", writes_another_attempt),
    Case("message", "deletes it", deletes_it),
    Case("message", "pickles it", pickles_it),
    Case("message", "settles it in a thread, later", settles_it_later),
    Case("message", "fails, and settles it in a thread", fails_and_settles_it_later),
    Case("message", "deletes all", deletes_all, ways=TAKEN_BACK),
    Case("message", "all are successes", all_are_successes, ways=TAKEN_BACK),
    Case("message", "all have another payload", all_have_another_payload),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_changes_messages_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
