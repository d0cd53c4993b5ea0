"""``configure`` in every order, with settings given in every way: the host's own win, the rest is as we need it."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from celery import Celery
from kombu import Queue

import outbox
from outbox.broker import queues
from outbox.worker.integration import NEEDED

WITH_NAMESPACE = {"CELERY_BROKER_HEARTBEAT": 30, "CELERY_WORKER_PREFETCH_MULTIPLIER": 7, "CELERY_DB_REUSE_MAX": 9}
PLAIN = {"broker_heartbeat": 30, "worker_prefetch_multiplier": 7, "CELERY_DB_REUSE_MAX": 9}
OLD_SPELLING = {"BROKER_HEARTBEAT": 30, "CELERYD_PREFETCH_MULTIPLIER": 7, "CELERY_DB_REUSE_MAX": 9}


@pytest.fixture
def app() -> Iterator[Celery]:
    """A Celery app as a host makes it; afterwards the project's own is the one in use again."""
    before = queues.celery_app()
    yield Celery("strange", set_as_current=False, fixups=[])
    queues.use(before)


def read(app: Celery, keys: dict[str, object], namespace: str | None = None) -> None:
    app.config_from_object(SimpleNamespace(**keys), namespace=namespace)


def read_then_configure(app: Celery) -> None:
    read(app, WITH_NAMESPACE, "CELERY")
    outbox.configure(app)


def configure_then_read(app: Celery) -> None:
    outbox.configure(app)
    read(app, WITH_NAMESPACE, "CELERY")


def without_a_namespace(app: Celery) -> None:
    read(app, PLAIN)
    outbox.configure(app)


def in_the_old_spelling(app: Celery) -> None:
    read(app, OLD_SPELLING)
    outbox.configure(app)


def updated_before(app: Celery) -> None:
    app.conf.update(PLAIN)
    outbox.configure(app)


def updated_afterwards(app: Celery) -> None:
    outbox.configure(app)
    app.conf.update(PLAIN)


def updated_once_settings_are_read(app: Celery) -> None:
    outbox.configure(app)
    assert app.conf.broker_heartbeat == 10
    app.conf.update(PLAIN)


def read_a_second_time(app: Celery) -> None:
    outbox.configure(app)
    assert app.conf.broker_heartbeat == 10
    read(app, WITH_NAMESPACE, "CELERY")


def read_again_when_in_use(app: Celery) -> None:
    read(app, {})
    assert app.conf.broker_heartbeat != 10
    outbox.configure(app)
    read(app, WITH_NAMESPACE, "CELERY")


def configured_twice(app: Celery) -> None:
    outbox.configure(app)
    read(app, WITH_NAMESPACE, "CELERY")
    outbox.configure(app)


@pytest.mark.parametrize(
    "host",
    [
        read_then_configure,
        configure_then_read,
        without_a_namespace,
        in_the_old_spelling,
        updated_before,
        updated_afterwards,
        updated_once_settings_are_read,
        read_a_second_time,
        read_again_when_in_use,
        configured_twice,
    ],
)
def test_what_the_host_has_set_wins_and_the_rest_is_what_our_queues_need(app: Celery, host: Callable) -> None:
    host(app)

    assert app.conf.broker_heartbeat == 30
    assert app.conf.worker_prefetch_multiplier == 7
    assert app.conf.get("CELERY_DB_REUSE_MAX") == 9
    rest = {name: value for name, value in NEEDED.items() if name != "broker_heartbeat"}
    assert {name: app.conf[name] for name in rest} == rest


def test_a_host_without_settings_gets_ours_and_keeps_celery_s(app: Celery) -> None:
    outbox.configure(app)

    assert {name: app.conf[name] for name in NEEDED} == NEEDED
    assert app.conf.worker_prefetch_multiplier == 4
    assert not app.conf.task_acks_late
    assert not app.conf.task_ignore_result
    assert app.conf.task_default_queue == "celery"


def test_our_queues_stand_beside_the_host_s_and_do_not_change_them(app: Celery) -> None:
    read(app, {"task_queues": [Queue("parcels")], "task_default_queue": "parcels", "task_queue_max_priority": 9})
    outbox.configure(app)

    hosts = app.amqp.queues["parcels"]
    ours = app.amqp.queues[queues.queue_name("shop.book")]
    assert {"parcels", ours.name} <= set(app.amqp.queues.consume_from)
    assert (hosts.exchange.name, hosts.queue_arguments) == ("parcels", {"x-max-priority": 9})
    assert (ours.exchange.name, ours.declared_with) == ("", queues.hint_queue("shop.book").declared_with)


PAIRS = [
    ({}, (True, False)),
    ({"exclusive": True}, (False, True)),
    ({"exclusive": False}, (True, False)),
    ({"durable": True}, (True, False)),
    ({"durable": False}, (False, True)),
    ({"durable": False, "exclusive": False}, (False, False)),
]


@pytest.mark.parametrize("kind", ["control", "event"])
@pytest.mark.parametrize(("given", "expected"), PAIRS)
def test_a_queue_of_celery_s_is_durable_or_exclusive_unless_the_host_has_it_otherwise(
    app: Celery, kind: str, given: dict[str, bool], expected: tuple[bool, bool]
) -> None:
    read(app, {f"{kind}_queue_{name}": value for name, value in given.items()})

    outbox.configure(app)

    assert (app.conf[f"{kind}_queue_durable"], app.conf[f"{kind}_queue_exclusive"]) == expected
