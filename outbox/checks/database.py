"""The database that the engine is on, and how its sessions are opened."""

import re
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import load_backend
from django.utils.module_loading import import_string

from outbox.conf import conf

CheckMessages = Iterable[CheckMessage]

SQLITE_PATIENCE = 10.0
"""Seconds that a SQLite connection should wait for the one writer; with 20 no draw of 3,000 met a lock."""


def check_database() -> CheckMessages:
    """Yield what is unsafe anywhere."""
    yield from _check_apps()
    yield from _alias()


def check_deployed_database() -> CheckMessages:
    """Yield what is unsafe where it is run for real."""
    if database_vendor() == "sqlite":
        yield Warning(
            "SQLite is for trying out: one machine, one writer at a time.",
            hint='Put the alias in OUTBOX["DATABASE"] on PostgreSQL.',
            id="outbox.W024",
        )
    host = str(settings.DATABASES.get(conf().database, {}).get("HOST") or "")
    remote = database_vendor() == "postgresql" and host and not host.startswith("/")
    if remote and not {"keepalives_idle", "tcp_user_timeout"} & _options().keys():
        yield Warning(
            "When the database's machine vanishes, a worker waits for it for hours.",
            hint=f'Add "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3 to '
            f'DATABASES["{conf().database}"]["OPTIONS"].',
            id="outbox.W006",
        )


def _check_apps() -> CheckMessages:
    missing = [name for name in ("django.contrib.auth", "django.contrib.contenttypes") if not apps.is_installed(name)]
    if missing:
        yield Error(
            f"The outbox needs {' and '.join(missing)}: its groups and permissions are rows of those apps.",
            hint="Add them to INSTALLED_APPS, before migrate.",
            id="outbox.E003",
        )
    if settings.DATABASES.get(conf().database, {}).get("ATOMIC_REQUESTS"):
        yield Info(
            "With ATOMIC_REQUESTS every view is a transaction: publish() needs no atomic() in one, hints are sent when "
            "the view has ended, and a view that answers with an error of its own, without raising, commits its "
            "messages.",
            hint="Nothing to do if you want that; code outside views (tasks, commands) needs transaction.atomic().",
            id="outbox.I002",
        )
    if conf().alert_hook:
        yield from _alert_hook(conf().alert_hook)
    if not settings.USE_TZ:
        yield Warning(
            "With USE_TZ = False the times in idempotency keys and in the sealed audit depend on TIME_ZONE.",
            hint="Set USE_TZ = True, or never change TIME_ZONE again.",
            id="outbox.W010",
        )


def _alert_hook(path: str) -> CheckMessages:
    """Look whether the function can be called, before there is something to tell."""
    try:
        problem = "" if callable(import_string(path)) else "is no function"
    except Exception as error:
        # The host's own module, which may fail in any way.
        problem = f"cannot be imported: {error}"
    if problem:
        yield Error(
            f'OUTBOX["ALERT_HOOK"] {path!r} {problem}, so no alert would reach anybody by it.',
            hint="Name a function by its dotted path, as in 'myshop.alerts.tell'.",
            id="outbox.E006",
        )


def _alias() -> CheckMessages:
    alias = conf().database
    if alias not in settings.DATABASES:
        yield Error(
            f'OUTBOX["DATABASE"] names {alias!r}, which is not in DATABASES.',
            hint="Name the alias that your business rows are on.",
            id="outbox.E001",
        )
        return
    match database_vendor():
        case "postgresql":
            yield from _driver(f'DATABASES["{alias}"]["OPTIONS"]')
        case "sqlite":
            yield from _sqlite(f'DATABASES["{alias}"]["OPTIONS"]')
        case other:
            yield Error(
                f"The outbox works on PostgreSQL and SQLite, not on {other}.",
                hint='Name an alias on PostgreSQL in OUTBOX["DATABASE"]; your business rows must be there too.',
                id="outbox.E002",
            )


def too_strict(where: str) -> Warning:
    """Return what is said of an isolation level that is set for all sessions, and where to take it out."""
    return Warning(
        "The outbox claims rows under READ COMMITTED; under SERIALIZABLE half of the rows failed and were redone.",
        hint=f"Take the isolation level out of {where}, and ask for a stricter one where your business needs it.",
        id="outbox.W007",
    )


def _driver(where: str) -> CheckMessages:
    """Yield what Django or the driver refuses, but not before the first connection or statement."""
    options = _options()
    if re.search("repeatable|serializable", _name_of(options.get("isolation_level", "")), re.IGNORECASE):
        yield too_strict(where)
    missing = [name for name in ("psycopg", "psycopg_pool") if find_spec(name) is None]
    if options.get("pool") and missing:
        yield Error(
            f"Django's pool of connections needs psycopg 3 with its pool; {' and '.join(missing)} cannot be imported.",
            hint=f'Run pip install "psycopg[pool]", or take "pool" out of {where}.',
            id="outbox.E009",
        )
    if options.get("pool") and settings.DATABASES[conf().database].get("CONN_MAX_AGE", 0) != 0:
        yield Error(
            "Django refuses a pool of connections beside CONN_MAX_AGE: the pool is what keeps them.",
            hint=f'Set CONN_MAX_AGE to 0, or take "pool" out of {where}.',
            id="outbox.E010",
        )
    if options.get("server_side_binding") is True and options.get("prepare_threshold") == 0:
        yield Error(
            "With prepare_threshold = 0 every statement is prepared, also several in one, which PostgreSQL refuses.",
            hint=f'Set {where}["prepare_threshold"] to 1 or more, or to None.',
            id="outbox.E008",
        )


def _name_of(level: Any) -> str:
    """Return the name of an isolation level, which may be given as the driver's number for it."""
    with suppress(ImportError, ValueError):
        # Imported here: on SQLite there may be no driver for PostgreSQL.
        from django.db.backends.postgresql.psycopg_any import IsolationLevel

        return IsolationLevel(level).name
    return str(level)


def _sqlite(where: str) -> CheckMessages:
    options = _options()
    if options.get("transaction_mode") != "IMMEDIATE":
        yield Warning(
            "SQLite with deferred transactions fails under concurrent writers.",
            hint=f'Set {where} to {{"transaction_mode": "IMMEDIATE", "timeout": 20}}.',
            id="outbox.W002",
        )
    if float(options.get("timeout", 5.0)) < SQLITE_PATIENCE:
        yield Warning(
            "SQLite has one writer at a time, and a connection gives up too soon when it waits for its turn.",
            hint=f'Set {where}["timeout"] to 20 seconds.',
            id="outbox.W008",
        )
    in_memory = re.search(r"^:memory:|mode=memory", str(settings.DATABASES[conf().database].get("NAME")))
    if not in_memory and "wal" not in str(options.get("init_command", "")).lower():
        yield Warning(
            "Without a write-ahead log SQLite's readers and its writer wait for each other.",
            hint=f'Set {where}["init_command"] to "PRAGMA journal_mode=WAL;".',
            id="outbox.W009",
        )


def database_vendor() -> str:
    """Return what the engine's database is: "postgresql", "sqlite" or another, also of a host's own backend."""
    engine = str(settings.DATABASES.get(conf().database, {}).get("ENGINE", ""))
    if not engine:
        return ""
    try:
        backend = load_backend(engine).DatabaseWrapper
    except (ImproperlyConfigured, ImportError):
        # The name is all there is where its driver is missing.
        return {"postgis": "postgresql", "sqlite3": "sqlite", "spatialite": "sqlite"}.get(
            name := engine.rpartition(".")[2], name
        )
    return str(backend.vendor)


def _options() -> dict[str, Any]:
    options: dict[str, Any] = settings.DATABASES.get(conf().database, {}).get("OPTIONS", {})
    return options
