"""The database's clock: read it, note a span of it, and let time pass without waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import F, Model

from outbox import memory
from outbox.models import ConsumerState, Heartbeat, Message

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

COMPARED: dict[type[Model], tuple[str, ...]] = {
    Message: ("due_at", "not_before", "lease_until", "expires_at", "started_at", "finished_at", "exhausted_at"),
    ConsumerState: ("paused_until", "gone_since", "probe_at"),
    Heartbeat: ("at",),
}
"""The times that the engine compares with the clock."""


def database_time() -> datetime:
    """Read the database's clock."""
    clock = "clock_timestamp()" if connection.vendor == "postgresql" else "STRFTIME('%Y-%m-%d %H:%M:%f', 'now')"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {clock}")
        (answer,) = cursor.fetchone()
    return answer if isinstance(answer, datetime) else datetime.fromisoformat(f"{answer}+00:00")


@dataclass
class Span:
    """What lies between two looks at the database's clock."""

    began: datetime
    ended: datetime | None = None

    def contains(self, moment: datetime) -> bool:
        """Tell whether the moment lies in the span."""
        assert self.ended is not None
        return self.began <= moment <= self.ended


@contextmanager
def timed() -> Iterator[Span]:
    """Note the database's time before and after."""
    span = Span(database_time())
    yield span
    span.ended = database_time() + timedelta(milliseconds=1)


def let_pass(span: timedelta, *ids: int) -> None:
    """Let time pass, for all rows or for some of the messages only: what is compared with it moves back by ``span``.

    Whatever this thread remembers to have looked at a moment ago is as old.
    """
    memory.forget_all()
    for model, names in COMPARED.items():
        if ids and model is not Message:
            continue
        found = model._default_manager.filter(pk__in=ids) if ids else model._default_manager.all()
        found.update(**{name: F(name) - span for name in names})


def set_back(span: timedelta, *models: type[Model]) -> None:
    """Let time pass for every time in the tables of ``models``."""
    for model in models:
        times = [field.name for field in model._meta.fields if field.get_internal_type() == "DateTimeField"]
        model._default_manager.update(**{name: F(name) - span for name in times})
