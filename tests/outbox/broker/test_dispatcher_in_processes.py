"""The dispatcher with a real RabbitMQ, and in processes that fork and end."""

import os
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
from django.db import transaction

from outbox import publish
from outbox.broker import dispatcher
from outbox.broker.queues import queue_name
from outbox.delivery import chunks
from outbox.models import Message
from tests.harness.messages import publish_messages, states_of
from tests.harness.threads import TIMEOUT
from tests.outbox.broker.hints import bodies

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.usefixtures("transactional_db")
def test_publishing_and_committing_do_not_wait_for_a_broker_that_does_not_answer(broker):
    broker.answers.clear()
    with transaction.atomic():
        publish("test.sold", key="first", payload={})
    broker.sending.wait(TIMEOUT)

    for n in range(20):
        with transaction.atomic():
            publish("test.sold", key=n, payload={})

    assert Message.objects.count() == 21
    assert not broker.answers.is_set()
    assert broker.sent == []


@pytest.fixture
def real(listen, rabbit):
    """The process's dispatcher on RabbitMQ, without what earlier tests left to it; drained afterwards."""
    dispatcher.drain()
    rabbit.queue_delete(queue_name("test.till"))
    listen()
    yield dispatcher
    dispatcher.drain()


@pytest.mark.services
@pytest.mark.usefixtures("transactional_db")
def test_what_is_published_is_hinted_and_delivered(real, rabbit):
    ids = publish_messages(3)

    dispatcher.drain()
    hints = bodies(rabbit)
    for hint in hints:
        chunks.deliver(*hint)

    assert sorted(id for _consumer, named in hints for id in named) == ids
    assert {entry.status for entry in states_of(ids)} == {"success"}


FORK = """
import os, sys
import django
django.setup()
from outbox.broker import dispatcher

dispatcher.dispatch({"shop.book": [1]})
assert dispatcher._dispatcher is not None
while not dispatcher._dispatcher._connection._wire:
    pass
parents = dispatcher._dispatcher
child = os.fork()
if child == 0:
    assert dispatcher._dispatcher is None
    dispatcher.dispatch({"shop.book": [2]})
    assert dispatcher._dispatcher is not parents
    dispatcher.drain()
    os._exit(0)
_pid, status = os.waitpid(child, 0)
assert status == 0, status
dispatcher.dispatch({"shop.book": [3]})
assert dispatcher._dispatcher is parents
dispatcher.drain()
assert not parents._thread.is_alive()
"""


EXIT = """
import django
django.setup()
from outbox.broker import dispatcher

dispatcher.dispatch({"shop.book": [1, 2, 3]})
"""


EXIT_WITHOUT_A_BROKER = """
import os
os.environ["CELERY_BROKER_WRITE_URL"] = "amqp://guest:guest@127.0.0.1:{port}//"
import django
django.setup()
from outbox.broker import dispatcher

dispatcher.dispatch({{"shop.book": [1, 2, 3]}})
"""


def run(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.services
def test_a_forked_child_has_a_dispatcher_of_its_own_and_leaves_the_parent_s_alone(rabbit):
    run(FORK)

    assert sorted(bodies(rabbit, "shop.book")) == [["shop.book", [1]], ["shop.book", [2]], ["shop.book", [3]]]


@pytest.mark.services
def test_a_process_that_ends_sends_what_waits_first(rabbit):
    run(EXIT)

    assert bodies(rabbit, "shop.book") == [["shop.book", [1, 2, 3]]]


@pytest.mark.services
def test_a_process_that_ends_does_not_wait_long_for_a_broker_that_never_answers(rabbit):
    from tests.harness.ports import mute_port

    with mute_port() as port:
        began = monotonic()
        run(EXIT_WITHOUT_A_BROKER.format(port=port))

    assert monotonic() - began < 20
