"""The manual's steps in a stranger's project: our messages are delivered, and its own tasks go on as before."""

import time

import pytest
from django.conf import settings as ours
from kombu import Connection

from tests.harness.program import eventually
from tests.system.hosts.conftest import django_database, project

pytestmark = [pytest.mark.services, pytest.mark.processes]

SETTINGS = """
from datetime import timedelta
from kombu import Queue

DATABASES = {{"default": {database!r}}}
CELERY_BROKER_URL = {broker!r}
CELERY_RESULT_BACKEND = "file://{results}"
CELERY_TASK_DEFAULT_QUEUE = "{prefix}.tasks"
CELERY_TASK_QUEUES = [Queue("{prefix}.tasks"), Queue("{prefix}.parcels", routing_key="{prefix}.parcels")]
CELERY_TASK_QUEUE_MAX_PRIORITY = 5
CELERY_TASK_ROUTES = {{"orders.tasks.note_a_set": {{"queue": "{prefix}.parcels"}}, "*": {{"queue": "{prefix}.tasks"}}}}
CELERY_ACCEPT_CONTENT = ["json", "application/x-stranger"]
OUTBOX = {{"PREFIX": "{prefix}", "GRACE": timedelta(seconds=1), "RESCAN_OVERDUE": timedelta(seconds=1)}}
"""


@pytest.fixture(scope="module")
def host(database, prefix, tmp_path_factory):
    """The project with a worker on all queues, as the manual starts it; no beat, no django_celery_beat, no admin."""
    folder, prefix = tmp_path_factory.mktemp("guest"), f"{prefix}a"
    (folder / "results").mkdir()
    own_database = database("guest")
    settings = SETTINGS.format(
        database=django_database(own_database),
        broker=ours.CELERY_BROKER_URL,
        results=folder / "results",
        prefix=prefix,
    )
    with project(folder, prefix, settings=settings) as host:
        host.manage("migrate", "--verbosity", "0")
        host.prefix, host.database, host.rows = prefix, own_database, own_database.rows
        host.the_worker = host.worker(f"{prefix}-worker", "-c", "2")
        try:
            yield host
        finally:
            host.the_worker.end()


def entries(host, what):
    """Return when each entry of that text was written, in seconds, and the queue its task came from."""
    return host.rows("SELECT extract(epoch FROM at), queue FROM orders_entry WHERE what LIKE %s ORDER BY id", what)


def statuses(host, key):
    return dict(host.rows("SELECT consumer, status FROM outbox_message WHERE key = %s", key))


def publish(host, key, *, hints=True):
    host.python(
        f"""
        from django.db import transaction
        from outbox import publish
        from outbox.testing import silenced
        from contextlib import nullcontext
        with {"nullcontext" if hints else "silenced"}(), transaction.atomic():
            publish("order.paid", key={key!r}, payload={{}})
        answer("published")
        """
    )


def test_messages_reach_the_consumers_of_both_apps(host):
    publish(host, "1")

    done = {"orders.add_points": "success", "orders.congratulate": "success", "shipping.ship": "success"}
    eventually(lambda: statuses(host, "1") == done, within=10)
    assert len(entries(host, "points 1")) == len(entries(host, "congratulated 1")) == 1


def test_without_beat_a_lost_hint_is_made_good_by_the_workers(host):
    publish(host, "2", hints=False)

    eventually(lambda: "success" in statuses(host, "2").values(), within=10)
    eventually(lambda: set(statuses(host, "2").values()) == {"success"}, within=10)


def test_the_host_s_tasks_keep_queue_route_serializer_and_results(host):
    results = host.python(
        """
        from orders.tasks import note, note_a_set
        answer([wait(note.delay("plain")), wait(note_a_set.delay({3, 1}))])
        """
    )

    [(_at, queue)] = entries(host, "plain")
    assert results == ["plain", ["set", [1, 3]]]
    assert queue == f"{host.prefix}.tasks"
    assert "parcels" not in [queue for _at, queue in entries(host, "%")]


def test_the_host_s_settings_of_tasks_and_prefetch_are_celery_s_own(host):
    given = host.python(
        """
        from celery.app.defaults import DEFAULTS
        from myproject.celery import app
        from orders.tasks import note
        names = ["task_acks_late", "task_reject_on_worker_lost", "task_ignore_result", "task_serializer",
                 "worker_prefetch_multiplier", "task_default_exchange_type", "task_default_delivery_mode",
                 "task_publish_retry", "worker_max_tasks_per_child", "task_time_limit", "broker_transport_options"]
        answer({
            "changed": [name for name in names if app.conf[name] != DEFAULTS[name]],
            "note": [note.acks_late, note.reject_on_worker_lost, note.ignore_result],
            "sees quorum queues": any("x-queue-type" in (q.queue_arguments or {}) for q in app.amqp.queues.values()),
        })
        """
    )

    assert given == {"changed": [], "note": [False, None, False], "sees quorum queues": False}


def test_the_message_of_a_killed_host_task_is_gone_as_early_acks_have_it(host):
    host.python("from orders.tasks import die, note; die.delay('died'); answer(0)")
    eventually(lambda: "WorkerLostError" in host.the_worker.said(), within=10)

    host.python("from orders.tasks import note; answer([wait(note.delay(f'after {n}')) for n in range(4)])")

    assert len(entries(host, "died")) == 1
    with Connection(ours.CELERY_BROKER_URL) as connection:
        queue = connection.channel().queue_declare(f"{host.prefix}.tasks", passive=True)
    assert queue.message_count == 0


def test_the_host_s_tasks_with_an_eta_hold_up_no_others(host):
    with Connection(ours.CELERY_BROKER_URL) as connection:
        if connection.ensure_connection() and connection.qos_semantics_matches_spec:
            pytest.skip("kombu 5.7.0 has the prefetch of every app fixed on RabbitMQ 4, with us or without")
    host.python(
        """
        from orders.tasks import note
        for n in range(12):
            note.apply_async([f"later {n}"], countdown=3)
        answer(wait(note.apply_async(["at once"])))
        """
    )
    sent = time.time()

    [(at_once, _queue)] = entries(host, "at once")
    assert float(at_once) < sent
    later = eventually(lambda: len(rows := entries(host, "later%")) == 12 and rows, within=10)
    assert all(float(at) > float(at_once) for at, _queue in later)


def test_celery_has_seen_no_quorum_queue_and_changes_nothing_for_one(host):
    assert "delayed delivery" not in host.the_worker.said()
    assert "Global QoS is disabled" not in host.the_worker.said()


def test_a_host_task_gets_a_new_connection_when_the_server_ended_the_old_one(host):
    host.python("from orders.tasks import note; answer([wait(note.delay('before')) for _n in range(4)])")
    publish(host, "3")
    eventually(lambda: set(statuses(host, "3").values()) == {"success"}, within=10)

    ended = host.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
        host.database.name,
    )
    after = host.python("from orders.tasks import note; answer([wait(note.delay('after')) for _n in range(6)])")

    assert ended
    assert after == ["after"] * 6


def test_the_host_s_own_tests_deliver_messages_on_postgresql(host):
    host.manage("test", "orders", "-k", "earns_points", "-k", "everything_that_follows")


def test_operators_can_stop_and_start_a_queue_of_a_running_worker(host):
    """Celery answers such an order before its loop has followed it, so its effect is waited for."""
    node = f"{host.prefix}-worker@localhost"
    queue = f"{host.prefix}.orders.add_points"
    consumers = f"""
        import time
        from myproject.celery import app
        control, to = app.control, [{node!r}]
        active = lambda: sorted(queue["name"] for queue in control.inspect(to).active_queues()[{node!r}])

        def becomes(expected, until=time.monotonic() + 10):
            while (found := active()) != expected and time.monotonic() < until:
                time.sleep(0.05)
            return found == expected

        before = active()
        control.cancel_consumer({queue!r}, destination=to, reply=True)
        without = becomes([name for name in before if name != {queue!r}])
        control.add_consumer({queue!r}, destination=to, reply=True)
        answer([{queue!r} in before, without, becomes(before)])
        """

    assert host.python(consumers) == [True, True, True]
    publish(host, "4")
    eventually(lambda: set(statuses(host, "4").values()) == {"success"}, within=10)


def test_the_worker_stops_cleanly_with_nothing_held_back(host):
    assert host.the_worker.terminate(within=15) == 0

    with Connection(ours.CELERY_BROKER_URL) as connection:
        for name in ("tasks", "parcels", "orders.add_points", "shipping.ship"):
            queue = connection.channel().queue_declare(f"{host.prefix}.{name}", passive=True)
            assert (name, queue.message_count, queue.consumer_count) == (name, 0, 0)
