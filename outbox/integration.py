"""Joining a host's Celery app: what our queues need, and nothing that changes the host's own tasks."""

from typing import Any

from celery import Celery
from celery.signals import worker_process_shutdown
from django.apps import apps
from kombu.transport import TRANSPORT_ALIASES

from outbox import broker, courier, registry

FILES = "outbox-files"
"""The scheme of the broker address in the embedded mode: ``outbox-files://``."""

NEEDED: dict[str, Any] = {
    # One hint at a time: what a worker has prefetched, no other can take.
    "worker_prefetch_multiplier": 1,
    "broker_heartbeat": 10,
    "broker_connection_max_retries": None,
    "broker_connection_retry_on_startup": True,
    # Without these three a worker exits when a half-open connection is made anew (RESOURCE_LOCKED).
    "broker_channel_error_retry": True,
    "control_queue_exclusive": False,
    "event_queue_exclusive": False,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "worker_soft_shutdown_timeout": 10.0,
    # Celery closes the database connection before and after every task without it (146 instead of 629 tasks/s).
    "CELERY_DB_REUSE_MAX": 1_000_000,
}
"""Settings of the Celery app that our queues need. What the host has set explicitly stays as it is."""


def configure(app: Celery) -> None:
    """Make ``app`` carry the outbox: call it where your project makes its Celery app, after ``config_from_object``.

    Late acknowledgement, rejection on a lost worker and ignored results are options of our own tasks, never app-wide;
    the host's default queue stays. Nothing is read from the settings yet, so it may be called while they are loading.
    """
    broker.use(app)
    TRANSPORT_ALIASES.setdefault(FILES, "outbox.filesystem:Transport")
    if app.configured:  # type: ignore[attr-defined]  # missing in the stubs
        _set_defaults(app)
    else:
        app.on_after_configure.connect(_set_defaults)
    app.steps["worker"].add("outbox.cover:CoverForBeat")
    worker_process_shutdown.connect(courier.drain_celery_child)
    if apps.ready:
        attach_queues()


def attach_queues() -> None:
    """Let workers of the configured app know our queues: one per consumer, and the engine's own."""
    queues = broker.celery_app().amqp.queues
    for queue in [*map(broker.hint_queue, (entry.name for entry in registry.all_consumers())), broker.control_queue()]:
        own_exchange = queue.exchange
        # Consumed by a worker without -Q as well; a worker with -Q takes what it names.
        queues.select_add(queue)
        # Celery has given it the host's default exchange; hints go straight to their queue.
        queue.exchange = own_exchange


def _set_defaults(sender: Celery, **_kwargs: Any) -> None:
    given = sender.conf.table(with_defaults=False, censored=False)
    namespace = sender.namespace  # type: ignore[attr-defined]  # missing in the stubs
    for name, value in NEEDED.items():
        # With a namespace, Celery keeps the host's keys as the settings module spells them.
        if name not in given and f"{namespace}_{name}".upper() not in given and name.upper() not in given:
            sender.conf[name] = value
