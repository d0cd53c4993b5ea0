"""The addresses of the services as the environment gives them; what cannot be one is refused in a sentence."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

DATABASE_SCHEMES = ("postgres", "postgresql", "pgsql")
DATABASE_EXAMPLE = "postgres://user:password@host:5432/name"
BROKER_SCHEMES = ("amqp", "amqps", "pyamqp")
BROKER_EXAMPLE = "amqp://user:password@host:5672/vhost"
CONNECT_SECONDS = 10


def database(url: str) -> dict[str, Any]:
    """Return Django's settings of the PostgreSQL database at ``url``, or raise ``ImproperlyConfigured``."""
    _refuse_other_schemes("DATABASE_URL", url, DATABASE_SCHEMES, DATABASE_EXAMPLE)
    try:
        found: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True))
    except ValueError as error:
        problem = "its port is no number, or a part of it is not quoted"
        raise _refusal("DATABASE_URL", problem, DATABASE_EXAMPLE) from error
    if not found["NAME"]:
        raise _refusal("DATABASE_URL", "it names no database", DATABASE_EXAMPLE)
    if found.get("OPTIONS", {}).get("pool"):
        # The pool keeps the connections; Django refuses to keep them as well.
        found["CONN_MAX_AGE"] = 0
    found["OPTIONS"] = {
        "connect_timeout": CONNECT_SECONDS,
        # A worker that died must not hold its row locks: see docs/pages/adopt.md.
        "options": "-c client_connection_check_interval=2s -c idle_in_transaction_session_timeout=30s",
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        # What the address says is meant; "?options=" alone says none, as PgBouncer takes none.
        **{name: value for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True) if name == "options"},
        **found.get("OPTIONS", {}),
    }
    if not found["OPTIONS"]["options"]:
        del found["OPTIONS"]["options"]
        found["DISABLE_SERVER_SIDE_CURSORS"] = True
    return found


def broker(url: str) -> str:
    """Return ``url``, one address of RabbitMQ or several with semicolons between, or raise ``ImproperlyConfigured``."""
    for each in url.split(";"):
        _refuse_other_schemes("CELERY_BROKER_URL", each, BROKER_SCHEMES, BROKER_EXAMPLE)
        try:
            urlsplit(each).port  # noqa: B018  # read to see whether it is one
        except ValueError as error:
            raise _refusal("CELERY_BROKER_URL", "its port is no number up to 65535", BROKER_EXAMPLE) from error
    return url


def _refuse_other_schemes(name: str, url: str, schemes: tuple[str, ...], example: str) -> None:
    scheme, separator, _rest = url.strip().partition("://")
    if not separator:
        raise _refusal(name, "it is no address", example)
    if scheme not in schemes:
        raise _refusal(name, f"it begins with {scheme}:// instead of {schemes[0]}://", example)


def _refusal(name: str, problem: str, example: str) -> ImproperlyConfigured:
    """Return the error; the address itself is not in it, as it may hold a password."""
    return ImproperlyConfigured(f"{name} cannot be used: {problem}. It looks like {example}")
