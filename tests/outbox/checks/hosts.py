"""Hosts with one thing changed: what is unsafe, always or when deployed, and what is fine."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.backends.postgresql.psycopg_any import IsolationLevel

from outbox.maintenance.schedule import ENTRIES
from outbox.worker.integration import REUSE
from tests.harness.beat import needs_beat_tables

SESSION = "-c client_connection_check_interval=2s -c idle_in_transaction_session_timeout=30s"


POSTGRESQL = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": "db",
    "OPTIONS": {"options": SESSION, "keepalives_idle": 10},
}


SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": "/somewhere/db.sqlite3",
    "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"},
}


RABBITMQ = {"broker_url": "amqp://broker//"}


def changed(database: dict[str, Any], **options: Any) -> dict[str, Any]:
    merged = {name: value for name, value in {**database["OPTIONS"], **options}.items() if value is not None}
    return {**database, "OPTIONS": merged}


POOLED = changed(POSTGRESQL, pool=True)


UNSAFE = [
    ("E001", {"outbox_settings": {"DATABASE": "elsewhere"}}),
    ("E002", {"database": {"ENGINE": "django.db.backends.mysql"}}),
    ("E003", {"INSTALLED_APPS": ["outbox"]}),
    ("E004", {"celery": {"accept_content": ["yaml"]}}),
    ("E005", {"celery": {"broker_url": "redis://broker/0"}}),
    ("E005", {"celery": {"broker_url": "sqs://"}}),
    ("E008", {"database": changed(POSTGRESQL, server_side_binding=True, prepare_threshold=0)}),
    ("W002", {"database": changed(SQLITE, transaction_mode=None)}),
    ("W002", {"database": changed(SQLITE, transaction_mode="DEFERRED")}),
    ("W004", {"consumer": {"chunk": 65, "timeout": timedelta(seconds=5)}}),
    ("W007", {"database": changed(POSTGRESQL, isolation_level=IsolationLevel.SERIALIZABLE)}),
    ("W007", {"database": changed(POSTGRESQL, isolation_level=IsolationLevel.REPEATABLE_READ)}),
    ("W007", {"database": changed(POSTGRESQL, isolation_level=int(IsolationLevel.SERIALIZABLE.value))}),
    ("W008", {"database": changed(SQLITE, timeout=None)}),
    ("W009", {"database": changed(SQLITE, init_command=None)}),
    ("W010", {"USE_TZ": False, "DJANGO_CELERY_BEAT_TZ_AWARE": False}),
    ("W011", {"celery": {"accept_content": ["json", "pickle"]}}),
    ("W012", {"celery": {"task_reject_on_worker_lost": True}}),
    ("W014", {"celery": {"task_soft_time_limit": 20}}),
    ("W015", {"celery": {"task_time_limit": 30}}),
    ("W016", {"celery": {"task_default_rate_limit": "100/s"}}),
    pytest.param(
        "W017",
        {"celery": {"beat_schedule": {"often": {"task": "outbox.rescan", "schedule": 1.0}}}},
        marks=needs_beat_tables,
    ),
    ("W060", {"outbox_settings": {"GRACE": timedelta(seconds=6)}}),
    ("E006", {"outbox_settings": {"ALERT_HOOK": "nobody.there"}}),
    ("E006", {"outbox_settings": {"ALERT_HOOK": "outbox.conf.FOR_EVER"}}),
    ("W027", {"celery": {"task_annotations": {"*": {"rate_limit": "10/s"}}}}),
    ("W027", {"celery": {"task_annotations": [{"outbox.rescan": {"rate_limit": "1/m"}}]}}),
    ("W028", {"celery": {"task_routes": {"*": {"exchange": "mine", "routing_key": "mine"}}}}),
    (
        "W030",
        {"database": changed(POSTGRESQL, pool=True), "celery": {"worker_pool": "threads", "worker_concurrency": 5}},
    ),
    (
        "W030",
        {
            "database": changed(POSTGRESQL, pool={"min_size": 2, "max_size": 49}),
            "celery": {"worker_pool": "gevent", "worker_concurrency": 50},
        },
    ),
    ("I002", {"database": {**POSTGRESQL, "ATOMIC_REQUESTS": True}}),
]


UNSAFE_AND_THE_ENGINES_OWN = [
    ("W020", {"outbox_settings": {"LEASE": timedelta(seconds=2)}}),
    ("W025", {"outbox_settings": {"HINT_TIME": timedelta(seconds=6)}}),
]


UNSAFE_WHEN_DEPLOYED = [
    ("W006", {"database": changed(POSTGRESQL, keepalives_idle=None)}),
    ("W029", {"celery": {"broker_url": None}}),
    ("W022", {"celery": {"task_always_eager": True}}),
    ("W040", {"celery": {"worker_pool": "threads"}}),
    ("W040", {"celery": {"worker_pool": "gevent"}}),
    ("W040", {"celery": {"worker_pool": "solo"}}),
    ("W023", {"celery": {"broker_url": "memory://"}}),
    ("W023", {"celery": {"broker_url": "outbox-files://"}}),
    ("W024", {"database": SQLITE}),
    ("I001", {"outbox_settings": {"PREFIX": "outbox"}}),
]


FINE = [
    {"database": changed(POSTGRESQL, isolation_level=IsolationLevel.READ_COMMITTED)},
    {"outbox_settings": {"ALERT_HOOK": "outbox.conf.conf"}},
    {"database": changed(POSTGRESQL, pool=True), "celery": {"worker_concurrency": 50}},
    {
        "database": changed(POSTGRESQL, pool={"max_size": 50}),
        "celery": {"worker_pool": "threads", "worker_concurrency": 50},
    },
    {"celery": {"task_annotations": {"orders.close": {"rate_limit": "1/m"}, "*": {"priority": 3}}}},
    {"celery": {"task_routes": {"*": {"queue": "mine"}, "orders.*": {"exchange": "mine"}}}},
    {"database": {**POSTGRESQL, "ENGINE": "django.contrib.gis.db.backends.postgis"}},
    {"database": {**changed(SQLITE, init_command=None), "NAME": ":memory:"}},
    {"celery": {"broker_url": "amqps://broker//", "task_acks_late": True, "worker_prefetch_multiplier": 8}},
    {"celery": {"task_reject_on_worker_lost": True, "task_default_queue_type": "quorum"}},
    {"celery": {"broker_heartbeat": 30, "worker_soft_shutdown_timeout": 60.0, REUSE: 100}},
    {"celery": {"task_time_limit": 120, "task_soft_time_limit": 900}},
    {"celery": {"beat_schedule": {"hosts": {"task": "orders.close", "schedule": 60.0}}, "broker_url": "memory://"}},
    {"consumer": {"chunk": 200, "bulk": True}},
    {"consumer": {"chunk": 1, "timeout": timedelta(seconds=60), "atomic": False}},
]


FINE_WHEN_DEPLOYED = [
    {"database": {**changed(POSTGRESQL, keepalives_idle=None), "HOST": "/var/run/postgresql"}},
    {
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "outbox"],
        "celery": {"beat_schedule": {entry.name: {"task": entry.task, "schedule": 1.0} for entry in ENTRIES}},
    },
]


class UsersElsewhere:
    """A router that keeps users in a database of their own."""

    def db_for_write(self, model: Any, **_hints: Any) -> str | None:
        return "people" if model._meta.app_label == "auth" else None

    db_for_read = db_for_write
