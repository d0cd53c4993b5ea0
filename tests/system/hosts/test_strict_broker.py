"""Behind a RabbitMQ that refuses queues neither durable nor exclusive, as 4.3 does, a stranger's worker works."""

import pytest
from amqp.exceptions import InternalError
from celery.app.defaults import DEFAULTS
from django.conf import settings as ours
from kombu import Connection, Queue

from tests.harness.program import eventually
from tests.harness.strict_broker import StrictBroker
from tests.system.hosts.conftest import django_database, project

pytestmark = [
    pytest.mark.services,
    pytest.mark.processes,
    pytest.mark.skipif(
        "control_queue_durable" not in DEFAULTS,
        reason="before 5.6 Celery can only declare what such a broker refuses, as the check W003 says",
    ),
]

SETTINGS = """
import os
from datetime import timedelta

if os.environ.get("EXCLUSIVE"):
    CELERY_CONTROL_QUEUE_EXCLUSIVE = CELERY_EVENT_QUEUE_EXCLUSIVE = True
DATABASES = {{"default": {database!r}}}
CELERY_BROKER_URL = {broker!r}
CELERY_TASK_DEFAULT_QUEUE = "{prefix}.tasks"
CELERY_ACCEPT_CONTENT = ["json", "application/x-stranger"]
OUTBOX = {{"PREFIX": "{prefix}", "GRACE": timedelta(seconds=1), "RESCAN_OVERDUE": timedelta(seconds=1)}}
"""


@pytest.fixture(scope="module")
def strict_broker():
    broker = StrictBroker(ours.CELERY_BROKER_URL)
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def host(database, prefix, strict_broker, tmp_path_factory):
    prefix = f"{prefix}s"
    own_database = database("strict")
    settings = SETTINGS.format(database=django_database(own_database), broker=strict_broker.url, prefix=prefix)
    with project(tmp_path_factory.mktemp("strict"), prefix, settings=settings) as host:
        host.manage("migrate", "--verbosity", "0")
        host.prefix, host.rows, host.node = prefix, own_database.rows, f"{prefix}-worker"
        yield host


@pytest.fixture
def channel():
    with Connection(ours.CELERY_BROKER_URL) as connection:
        yield connection.channel()


def control_queue(host) -> Queue:
    """The worker's control queue as older releases declare it, but that it does not expire by itself."""
    return Queue(f"{host.node}@localhost.celery.pidbox", durable=False, auto_delete=True)


def leave_over(host, channel) -> Queue:
    """Declare it; on a broker that is itself so strict none can be left over."""
    queue = control_queue(host)
    try:
        queue(channel).queue_declare()
    except InternalError:
        pytest.skip("this broker has no queues that are neither durable nor exclusive")
    return queue


def test_a_worker_with_events_gossip_and_mingle_becomes_ready_answers_and_delivers(host, strict_broker):
    worker = host.worker(host.node, "-c", "1", "-E")
    try:
        host.python(
            """
            from django.db import transaction
            from outbox import publish
            with transaction.atomic():
                publish("order.paid", key="1", payload={})
            answer("published")
            """
        )
        eventually(lambda: host.rows("SELECT DISTINCT status FROM outbox_message") == [("success",)], within=20)
        # Of this worker only: the broker has other tests' workers, which would answer as well.
        asked = f"app.control.ping(timeout=3, destination=['{host.node}@localhost'])"
        [answered] = host.python(f"from myproject.celery import app; answer({asked})")
    finally:
        worker.end()

    assert answered == {f"{host.node}@localhost": {"ok": "pong"}}
    assert strict_broker.refused == []


def test_the_broker_of_these_tests_refuses_what_4_3_refuses(strict_broker):
    with Connection(strict_broker.url) as connection, pytest.raises(connection.connection_errors, match="transient_"):
        connection.channel().queue_declare("refused", durable=False, exclusive=False)

    assert strict_broker.refused.pop() == "refused"


def test_a_control_queue_left_over_in_the_old_way_is_made_anew(host, channel):
    channel.queue_delete(control_queue(host).name)
    leave_over(host, channel)

    worker = host.worker(host.node, "-c", "1")
    worker.end()

    assert f"the control queue {host.node}@localhost.celery.pidbox was declared in another way" in worker.said()


def test_a_control_queue_that_another_worker_holds_in_the_old_way_is_named_until_it_is_free(host, channel):
    channel.queue_delete(control_queue(host).name)
    tag = channel.basic_consume(leave_over(host, channel).name)

    worker = host.worker(host.node, "-c", "1", ready=False)
    try:
        worker.wait_for(f"the control queue {host.node}@localhost.celery.pidbox is held by a worker of the same name")
        channel.basic_cancel(tag)
        worker.wait_for("ready.")
    finally:
        worker.end()


def test_an_exclusive_control_queue_that_a_half_open_connection_locks_is_had_when_that_is_gone(host, channel):
    channel.queue_delete(control_queue(host).name)
    host.environment["EXCLUSIVE"] = "yes"
    with Connection(ours.CELERY_BROKER_URL) as half_open:
        half_open.channel().queue_declare(control_queue(host).name, exclusive=True)
        worker = host.worker(host.node, "-c", "1", "-E", ready=False)
        try:
            worker.wait_for("RESOURCE_LOCKED")
            half_open.release()
            worker.wait_for("ready.")
        finally:
            worker.end()
            del host.environment["EXCLUSIVE"]
