"""Publish, deliver and measure in a process whose driver is set up by ``DATABASE_URL``; print what came of it."""

import json
import threading
from datetime import timedelta

import django

django.setup()

from django.db import connection, connections  # noqa: E402  # the apps must be there first

from outbox import Backoff, consumer  # noqa: E402
from outbox.broker import dispatcher  # noqa: E402
from outbox.delivery import chunks  # noqa: E402
from outbox.models.sql.backlog import measure_backlogs  # noqa: E402
from tests.harness.messages import publish_messages, states_of  # noqa: E402
from tests.shop.consumers import leave_effect  # noqa: E402

TOPICS = {"together": "test.together", "bulk": "test.bulk", "outside": "test.outside"}
LATER = Backoff(limit=3, first=timedelta(hours=1), jitter=0)


def book(message):
    """Leave an effect; every third message fails after it."""
    leave_effect(message)
    if message.payload.get("fail"):
        raise ValueError("the till is jammed")


def deliver_all(name):
    """Deliver four messages to a consumer, one of which fails; return what they came to."""
    ids = [*publish_messages(3, TOPICS[name]), *publish_messages(1, TOPICS[name], fail=True)]
    chunks.deliver(f"test.{name}", ids)
    return [state.status for state in states_of(ids)]


def in_another_thread(call):
    """Make the call in a thread with a connection of its own, and give that back."""
    answers = []

    def run():
        answers.append(call())
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return answers[0]


dispatcher.dispatch = lambda hints: None
consumer(TOPICS["together"], name="test.together", retry=LATER)(book)
consumer(TOPICS["outside"], name="test.outside", retry=LATER, atomic=False)(book)
consumer(TOPICS["bulk"], name="test.bulk", retry=LATER, bulk=True)(lambda messages: [book(each) for each in messages])

statuses = {name: deliver_all(name) for name in TOPICS}
statuses["thread"] = in_another_thread(lambda: deliver_all("together"))
backlog = measure_backlogs(["test.together"], cap=100)["test.together"]
raw = connection.connection
print(
    json.dumps(
        {
            "statuses": statuses,
            "backlog": [backlog.pending, backlog.started, backlog.exhausted],
            "driver": connection.Database.__name__,
            "cursor": raw.cursor_factory.__name__,
            "pooled": getattr(raw, "_pool", None) is not None,
        }
    )
)
connections.close_all()
if pool := getattr(connection, "pool", None):
    pool.close()
