"""``manage.py check``: what is unsafe in the host's settings, each with what to do about it."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from outbox import broker, registry
from outbox.conf import conf
from outbox.integration import NEEDED

SAVEPOINTS_CACHED = 64
"""More writing savepoints in one transaction overflow PostgreSQL's cache of subtransactions."""


@register
def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """Look at the database alias, the Celery app and the consumers."""
    return [*_database(), *_celery(), *_consumers()]


def _database() -> Iterable[CheckMessage]:
    alias = conf().database
    if alias not in settings.DATABASES:
        yield Error(
            f'OUTBOX["DATABASE"] names {alias!r}, which is not in DATABASES.',
            hint="Name the alias that your business rows are on.",
            id="outbox.E001",
        )
        return
    database = settings.DATABASES[alias]
    options = database.get("OPTIONS", {})
    engine = database["ENGINE"]
    if engine.endswith("postgresql") and "client_connection_check_interval" not in str(options.get("options", "")):
        yield Warning(
            "A killed worker's row locks may live on for half a minute.",
            hint='Add "-c client_connection_check_interval=2s -c idle_in_transaction_session_timeout=30s" to '
            f'DATABASES["{alias}"]["OPTIONS"]["options"].',
            id="outbox.W001",
        )
    if engine.endswith("sqlite3") and options.get("transaction_mode") != "IMMEDIATE":
        yield Warning(
            "SQLite with deferred transactions fails under concurrent writers.",
            hint=f'Set DATABASES["{alias}"]["OPTIONS"] to {{"transaction_mode": "IMMEDIATE", "timeout": 20}}.',
            id="outbox.W002",
        )


def _celery() -> Iterable[CheckMessage]:
    app_conf = broker.celery_app().conf
    for name, needed in NEEDED.items():
        if app_conf.get(name) != needed and name != "worker_soft_shutdown_timeout":
            yield Warning(
                f"The Celery setting {name} is {app_conf.get(name)!r}; the outbox's queues need {needed!r}.",
                hint="Remove your own value, or make sure that you can live with what the README says of it.",
                id="outbox.W003",
            )


def _consumers() -> Iterable[CheckMessage]:
    for entry in registry.all_consumers():
        if entry.atomic and not entry.bulk and entry.chunk > SAVEPOINTS_CACHED:
            yield Warning(
                f"{entry.name} handles up to {entry.chunk} rows in a transaction, each in its savepoint.",
                hint=f"More than {SAVEPOINTS_CACHED} slow down the whole server; lower chunk, or use bulk=True.",
                id="outbox.W004",
            )
