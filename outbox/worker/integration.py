"""Joining a host's Celery app: what our queues need, and nothing that changes the host's own tasks."""

import gc
from typing import Any

from billiard.process import current_process
from celery import Celery
from celery.signals import (
    task_postrun,
    task_prerun,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)
from django.apps import apps
from django.db import connections
from kombu.transport import TRANSPORT_ALIASES

from outbox import registry
from outbox.broker import dispatcher, queues
from outbox.maintenance import schedule

FILES = "outbox-files"
"""The scheme of the broker address in the embedded mode: ``outbox-files://``."""

NEEDED: dict[str, Any] = {
    "broker_heartbeat": 10,
    "broker_connection_max_retries": None,
    "broker_connection_retry_on_startup": True,
    # Without it a worker exits when it meets the exclusive queue of its own half-open connection (RESOURCE_LOCKED).
    "broker_channel_error_retry": True,
    # What is under way goes on when the broker is cut off: an outage costs no attempt, and the fence refuses doubles.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_soft_shutdown_timeout": 10.0,
}
"""Settings of the Celery app that our queues need. What the host has set explicitly stays as it is."""

QUEUES_OF_CELERY = ("control", "event")
"""Queues that Celery makes for itself. Durable ones, which expire by themselves after seconds, can be had by
every RabbitMQ: 4.3 refuses what is neither durable nor exclusive; an exclusive one is locked by a half-open link."""

BOOTSTEPS = (
    "outbox.worker.beat_watchdog:BeatWatchdog",
    "outbox.worker.control_queue:ControlQueueStep",
    "outbox.worker.handed_jobs:HandedJobsStep",
    "outbox.worker.hint_consumer:HintConsumerStep",
)
"""What is added to every worker of the app, named so that nothing is imported before the apps are ready."""

REUSE = "CELERY_DB_REUSE_MAX"
"""Celery closes the database connection before and after every task without it (146 instead of 629 of our tasks/s)."""


def configure(app: Celery) -> None:
    """Make ``app`` carry the outbox: call it where your project makes its Celery app, after ``config_from_object``.

    Late acknowledgement, rejection on a lost worker and ignored results are options of our own tasks, never app-wide;
    the host's default queue, its prefetch and its tasks with an ETA stay as they are. Nothing is read from the settings
    yet, so it may be called while they are loading.
    """
    queues.use(app)
    TRANSPORT_ALIASES.setdefault(FILES, "outbox.broker.filesystem:Transport")
    # Each time, as a later config_from_object has the settings read anew.
    app.on_after_configure.connect(_set_defaults)
    if app.configured:  # type: ignore[attr-defined]  # missing in the stubs
        _set_defaults(app)
    app.steps["worker"].update(BOOTSTEPS)
    worker_shutting_down.connect(_begin_to_end)
    worker_process_shutdown.connect(_end_process)
    worker_shutdown.connect(_end_process)
    worker_process_init.connect(_begin_process)
    if apps.ready:
        attach_queues()


def _begin_to_end(**_kwargs: Any) -> None:
    """Start no more calls, where a worker that was told to end makes them itself: in threads, or as the only one."""
    # Imported here: settings are not read while the app is being made.
    from outbox.delivery.wide import hints

    hints.begin_to_end()


def _end_process(**_kwargs: Any) -> None:
    """Wait for the calls that a process has under way, and send the hints that wait: it never runs ``atexit``."""
    # Imported here: settings are not read while the app is being made.
    from outbox.delivery.wide import hints

    hints.end()
    dispatcher.drain()


def _begin_process(**_kwargs: Any) -> None:
    """Make ready a process of a pool: it may end when a handler holds on to it, as another takes its place.

    What was loaded before the fork is for good, and no garbage is looked for in it: 5 % of an ordinary message's time,
    and memory that stays shared. A pool without processes (solo) says that it begins one, too; it is the worker itself.
    """
    if current_process().name != "MainProcess":
        gc.freeze()
        # Imported here: settings are not read while the app is being made.
        from outbox.delivery import hard_end, time_limits
        from outbox.worker.beat_watchdog import watch_in_a_thread
        from outbox.worker.broker_watch import watch_the_broker

        time_limits.end_processes_by(hard_end.end_process)
        watch_in_a_thread()
        watch_the_broker()


def attach_queues() -> None:
    """Let workers of the configured app know our queues: one per consumer, and the engine's own."""
    known = queues.celery_app().amqp.queues
    for queue in [*map(queues.hint_queue, registry.consumer_names()), queues.control_queue()]:
        own_exchange = queue.exchange
        # Consumed by a worker without -Q as well; a worker with -Q takes what it names.
        known.select_add(queue)
        # Celery has given it the host's default exchange; hints go straight to their queue.
        queue.exchange = own_exchange
    add_schedule()


def add_schedule() -> None:
    """Have beat's own scheduler call the engine's maintenance jobs, where no rows of django-celery-beat do.

    What the host's ``beat_schedule`` calls already is left as it is.
    """
    if apps.is_installed("django_celery_beat"):
        return
    entries = queues.celery_app().conf.beat_schedule
    called = {entry.get("task") for entry in entries.values()}
    for entry in schedule.ENTRIES:
        if entry.task not in called:
            options = {"expires": entry.expire_seconds}
            entries[entry.name] = {"task": entry.task, "schedule": float(entry.every_seconds), "options": options}


def _set_defaults(sender: Celery, **_kwargs: Any) -> None:
    for name, value in NEEDED.items():
        if not _is_given(sender, name):
            sender.conf[name] = value
    for kind in QUEUES_OF_CELERY:
        _make_durable(sender, f"{kind}_queue_durable", f"{kind}_queue_exclusive")
    if not _is_given(sender, REUSE):
        sender.conf[REUSE] = 1_000_000
        task_prerun.connect(_close_for_the_host)
        task_postrun.connect(_close_for_the_host)


def _make_durable(app: Celery, durable: str, exclusive: str) -> None:
    """Have a queue of Celery's durable and not exclusive; of the two, the host's own word decides the other."""
    if not _is_given(app, durable):
        app.conf[durable] = not (_is_given(app, exclusive) and app.conf[exclusive])
    if not _is_given(app, exclusive):
        app.conf[exclusive] = not app.conf[durable]


def _is_given(app: Celery, name: str) -> bool:
    """Tell whether the host has set ``name``; with a namespace, Celery keeps the keys as the settings spell them."""
    namespace = app.namespace  # type: ignore[attr-defined]  # missing in the stubs
    spellings = {name, name.upper(), f"{namespace}_{name}".upper()}
    # One by one: of all settings, some of Django's raise when they are read (EMAIL_BACKEND beside MAILERS).
    maps: Any = app.conf.maps
    given = maps[:-1]  # the last are Celery's defaults
    return any(spelling in settings for settings in given for spelling in spellings)


def _close_for_the_host(sender: Any, **_kwargs: Any) -> None:
    """Close connections around a task of the host's, as Celery does: one that broke would never be made anew."""
    if not sender.name.startswith("outbox.") and not sender.request.is_eager:
        connections.close_all()
