"""How each database says what time it is, for the statements that the ORM cannot write."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from django.db.backends.base.base import BaseDatabaseWrapper


@dataclass(frozen=True, slots=True)
class Clock:
    """SQL for the database's own time, for it plus a span given as a parameter (``seconds``), and a JSON parameter.

    ``beginning`` is a parameter that is before any time.
    """

    now: str
    now_plus: str
    json: str
    beginning: str

    def seconds(self, span: timedelta) -> str:
        """Return ``span`` as every one of the databases reads it."""
        return _as_seconds(span)


@lru_cache(256)
def _as_seconds(span: timedelta) -> str:
    return f"{span.total_seconds():+.6f} seconds"


_CLOCKS = {
    "postgresql": Clock(
        now="STATEMENT_TIMESTAMP()",
        now_plus="STATEMENT_TIMESTAMP() + %s::interval",
        json="%s::jsonb",
        beginning="-infinity",
    ),
    "sqlite": Clock(
        now="STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'now')",
        now_plus="STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'now', %s)",
        json="%s",
        beginning="",
    ),
}


def clock_of(connection: BaseDatabaseWrapper) -> Clock:
    """Return the clock of a connection's database."""
    return _CLOCKS[connection.vendor]


def as_moment(at: datetime | str) -> datetime:
    """Return a moment that was read past the ORM; SQLite gives it without its zone, and an expression as text."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def as_span(span: timedelta | int) -> timedelta:
    """Return a span that was read past the ORM; SQLite has its microseconds."""
    return timedelta(microseconds=span) if isinstance(span, int) else span
