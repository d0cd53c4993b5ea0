"""Whether the services answer, and if not, in words for whoever has to see to it."""

from typing import Any

from amqp.exceptions import AccessRefused, NotAllowed
from celery import current_app
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.migrations.executor import MigrationExecutor
from kombu import Connection
from kombu.exceptions import OperationalError

from outbox.broker.tls import why_no_tls

PROBE_SECONDS = 5
UNWELCOME = ("password", "role ", "pg_hba.conf", "authentication")
"""What libpq says, among other things, when PostgreSQL is there and does not let us in."""


def why_no_database() -> str:
    """Connect to the database; return why it cannot be used and what to do, or nothing if it can."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        connection.close()
        connection.ensure_connection()
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (Error, ImproperlyConfigured) as error:
        return database_trouble(str(error), connection.settings_dict)
    return "Tables are missing in the database. Make them first: manage.py migrate" if missing else ""


def database_trouble(said: str, settings: dict[str, Any]) -> str:
    """Return in a sentence or two what ``said``, the driver's own words, means for somebody with these settings."""
    name, user, host, port = (settings[key] for key in ("NAME", "USER", "HOST", "PORT"))
    if not settings["ENGINE"].endswith("postgresql"):
        return f"The database file {name} cannot be used: {said}."
    where = f"PostgreSQL at {host or 'the local socket'}:{port or 5432}"
    told = [line for line in said.splitlines() if line.strip()]
    lines = [line.rpartition("failed: ")[2] for line in told if "failed: " in line] or told
    reason = (lines[0] if len(lines) == 1 else next((line for line in lines if "FATAL" in line), lines[0])).strip()
    reason = reason.removeprefix("FATAL:").strip()
    if reason.startswith("database ") and reason.endswith("does not exist"):
        return f'{where} has no database "{name}". Make it (createdb), or name another in DATABASE_URL.'
    if any(word in reason for word in UNWELCOME):
        return f'{where} does not let "{user}" in: {reason}. Correct user and password in DATABASE_URL.'
    return f"{where} does not answer: {reason}. Start it, or correct DATABASE_URL."


def why_no_broker() -> str:
    """Connect to the broker; return why it cannot be used and what to do, or nothing if it can.

    Of several addresses one that answers is enough, as it is for the processes; if none does, the first is named.
    """
    connection = current_app.connection_for_write(connect_timeout=PROBE_SECONDS)
    trouble = _why_not_this_broker(connection)
    for address in connection.alt[1:]:
        if not trouble:
            break
        connection.switch(address)
        trouble = _why_not_this_broker(connection) and trouble
    return trouble


def _why_not_this_broker(connection: Connection) -> str:
    where = f"RabbitMQ at {connection.hostname}:{connection.port or connection.transport.default_port}"
    user, vhost = connection.userid or "guest", connection.virtual_host
    away: tuple[type[BaseException], ...] = (OSError, OperationalError, *connection.connection_errors)
    try:
        connection.transport.close_connection(connection.transport.establish_connection())
    except AccessRefused:
        return f'{where} does not let "{user}" in. Correct user and password in CELERY_BROKER_URL.'
    except NotAllowed:
        return (
            f'{where} has no vhost "{vhost}", or "{user}" may not enter it. Make it (rabbitmqctl add_vhost, '
            "set_permissions), or name another in CELERY_BROKER_URL."
        )
    except away as error:
        if said := why_no_tls(error, connection, seconds=PROBE_SECONDS):
            return f"There is no TLS with RabbitMQ: {said}."
        return f"{where} does not answer: {error}. Start it, or correct CELERY_BROKER_URL."
    return ""
