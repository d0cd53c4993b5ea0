"""The courier: hints leave soon after the commit, and no request ever waits for the broker or fails because of it."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic, sleep

import pytest
from django.db import transaction

from outbox import publish
from outbox.broker import dispatcher
from outbox.broker.connection import Hint
from outbox.delivery import chunks
from outbox.errors import BrokerAway
from outbox.models import Message
from tests.harness.messages import publish_messages, states_of
from tests.harness.threads import TIMEOUT
from tests.outbox.broker.hints import bodies

ROOT = Path(__file__).resolve().parents[3]


class Broker:
    """What the courier's link does, under the test's hand."""

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
def own(broker):
    """A courier of the test's own, with a broker under its hand."""
    own = dispatcher.Dispatcher()
    yield own
    broker.answers.set()
    own.drain(TIMEOUT)


def wait_until(true) -> None:
    deadline = monotonic() + TIMEOUT
    while not true():
        assert monotonic() < deadline
        sleep(0.005)


def test_an_offer_returns_although_the_broker_does_not_answer(own, broker):
    broker.answers.clear()
    own.offer({"test.till": [1]})
    broker.sending.wait(TIMEOUT)

    taken = [own.offer({"test.till": [id]}) for id in (2, 3, 4)]

    assert taken == [True] * 3
    assert broker.sent == []


def test_what_waited_meanwhile_travels_together_in_chunks_of_the_consumer(own, broker, listen):
    listen(chunk=3)
    broker.answers.clear()
    own.offer({"test.till": [1]})
    broker.sending.wait(TIMEOUT)
    for id in range(2, 9):
        own.offer({"test.till": [id]})

    broker.answers.set()
    own.drain(TIMEOUT)

    assert [hint.ids for hint in broker.sent] == [(1,), (2, 3, 4), (5, 6, 7), (8,)]


def test_a_hint_for_every_consumer(own, broker, listen):
    listen(name="test.other", topic="test.other")

    own.offer({"test.till": [1], "test.other": [2]})
    own.drain(TIMEOUT)

    assert broker.sent == [Hint("test.till", (1,)), Hint("test.other", (2,))]


def test_an_offer_of_no_ids_sends_a_hint_to_look_for_what_is_due(own, broker):
    own.offer({"test.till": ()})
    own.drain(TIMEOUT)

    assert broker.sent == [Hint("test.till", ())]


def test_a_full_courier_drops_what_is_offered(monkeypatch, configure, broker):
    configure(DISPATCH_BACKLOG=2)
    broker.answers.clear()
    own = dispatcher.Dispatcher()
    own.offer({"test.till": [1]})
    broker.sending.wait(TIMEOUT)

    taken = [own.offer({"test.till": [id]}) for id in (2, 3, 4, 5)]
    broker.answers.set()
    own.drain(TIMEOUT)

    assert taken == [True, True, False, False]
    assert [hint.ids for hint in broker.sent] == [(1,), (2, 3)]


def test_a_full_courier_is_no_error_for_who_offers(monkeypatch, configure, broker, caplog):
    configure(DISPATCH_BACKLOG=1)
    broker.answers.clear()
    dispatcher.dispatch({"test.till": [1]})
    broker.sending.wait(TIMEOUT)

    for id in (2, 3):
        dispatcher.dispatch({"test.till": [id]})

    assert [record.message for record in caplog.records] == [
        "too many hints are waiting; the rescan will find these rows"
    ]


def test_no_more_hints_are_sent_than_the_queue_has_room_for(own, broker, listen):
    listen(chunk=1, high_water=5)
    broker.depth_now = 3

    own.offer({"test.till": [1, 2, 3, 4]})
    own.drain(TIMEOUT)

    assert [hint.ids for hint in broker.sent] == [(1,), (2,)]


@pytest.mark.parametrize("depth", [50, 51])
def test_nothing_is_sent_into_a_full_queue(own, broker, depth):
    broker.depth_now = depth

    own.offer({"test.till": [1, 2]})
    own.drain(TIMEOUT)

    assert broker.sent == []


def test_rows_of_a_consumer_that_is_not_in_the_code_are_left_to_the_rescan(own, broker):
    own.offer({"test.unheard-of": [1], "test.till": [2]})
    own.drain(TIMEOUT)

    assert broker.sent == [Hint("test.till", (2,))]


def test_while_the_broker_is_away_hints_are_dropped_without_asking_it_again(own, broker, monkeypatch):
    monkeypatch.setattr(dispatcher, "REST", 60.0)
    broker.away = True
    own.offer({"test.till": [1]})
    wait_until(lambda: broker.asked == 1)
    broker.away = False

    for id in (2, 3):
        own.offer({"test.till": [id]})
    own.drain(TIMEOUT)

    assert broker.asked == 1
    assert broker.sent == []


def test_after_a_rest_the_broker_is_asked_again(own, broker, monkeypatch):
    monkeypatch.setattr(dispatcher, "REST", 0.0)
    broker.away = True
    own.offer({"test.till": [1]})
    wait_until(lambda: broker.asked == 1)
    broker.away = False

    own.offer({"test.till": [2]})
    own.drain(TIMEOUT)

    assert broker.sent == [Hint("test.till", (2,))]


def test_hints_that_were_not_taken_are_followed_by_a_rest_too(own, broker, monkeypatch):
    monkeypatch.setattr(dispatcher, "REST", 60.0)
    broker.takes = False
    own.offer({"test.till": [1]})
    broker.sending.wait(TIMEOUT)
    broker.takes = True

    own.offer({"test.till": [2]})
    own.drain(TIMEOUT)

    assert broker.sent == []


def test_the_thread_outlives_an_error_nobody_has_thought_of(own, broker):
    broker.error = ZeroDivisionError("out of the blue")
    own.offer({"test.till": [1]})
    wait_until(lambda: broker.error is None)

    own.offer({"test.till": [2]})
    own.drain(TIMEOUT)

    assert broker.sent == [Hint("test.till", (2,))]


def test_draining_sends_what_waits_and_ends_the_thread(own, broker):
    for id in (1, 2, 3):
        own.offer({"test.till": [id]})

    ended = own.drain(TIMEOUT)

    assert ended
    assert sorted(id for hint in broker.sent for id in hint.ids) == [1, 2, 3]


def test_draining_does_not_wait_for_a_broker_that_does_not_answer(own, broker):
    broker.answers.clear()
    own.offer({"test.till": [1]})
    broker.sending.wait(TIMEOUT)

    ended = own.drain(0.01)

    assert not ended


def test_after_draining_a_process_can_offer_again(broker):
    dispatcher.dispatch({"test.till": [1]})
    dispatcher.drain()

    dispatcher.dispatch({"test.till": [2]})
    dispatcher.drain()

    assert broker.sent == [Hint("test.till", (1,)), Hint("test.till", (2,))]


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
    """The process's courier on RabbitMQ, drained afterwards."""
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
def test_a_forked_child_has_a_courier_of_its_own_and_leaves_the_parent_s_alone(rabbit):
    run(FORK)

    assert sorted(bodies(rabbit, "shop.book")) == [["shop.book", [1]], ["shop.book", [2]], ["shop.book", [3]]]


@pytest.mark.services
def test_a_process_that_ends_sends_what_waits_first(rabbit):
    run(EXIT)

    assert bodies(rabbit, "shop.book") == [["shop.book", [1, 2, 3]]]


@pytest.mark.services
def test_a_process_that_ends_does_not_wait_long_for_a_broker_that_never_answers(rabbit):
    from tests.harness.proxy import mute_port

    with mute_port() as port:
        began = monotonic()
        run(EXIT_WITHOUT_A_BROKER.format(port=port))

    assert monotonic() - began < 20
