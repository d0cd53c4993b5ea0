"""The message table as the tests see it: write promises, read whole rows, let time pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F

from outbox import memory, publish
from outbox.models import Attempt, ConsumerState, Heartbeat, Message
from tests.shop.models import Effect

_keys = count(1)

TIMES = {
    Message: ("due_at", "not_before", "lease_until", "expires_at", "started_at", "finished_at", "exhausted_at"),
    ConsumerState: ("paused_until", "gone_since", "probe_at"),
    Heartbeat: ("at",),
}


class Row(NamedTuple):
    """Where a message stands."""

    status: str
    attempts: int
    attempt_limit: int
    lost: int = 0
    sends: int = 0
    last_error: str = ""
    reason: str = ""


def promise(topic: str = "test.sold", *, key: str = "", ordering_key: str = "", **payload: Any) -> int:
    """Publish one message in a transaction of its own and return its id."""
    return promises(1, topic, key=key, ordering_key=ordering_key, **payload)[0]


def promises(
    many: int, topic: str = "test.sold", *, key: str = "", ordering_key: str = "", **payload: Any
) -> list[int]:
    """Publish so many messages to one consumer and return their ids."""
    with transaction.atomic():
        return [
            id
            for _ in range(many)
            for id in publish(topic, key=key or f"key {next(_keys)}", payload=payload, ordering_key=ordering_key)
        ]


def row(id: int) -> Row:
    """Read where the message stands."""
    return Row(*Message.objects.values_list(*Row._fields).get(pk=id))


def rows(ids: list[int]) -> list[Row]:
    """Read where the messages stand, in the order of ``ids``."""
    return [row(id) for id in ids]


def kept_attempts(id: int) -> list[tuple[int, str, str]]:
    """Read number, outcome and error of the attempts that were kept."""
    return list(Attempt.objects.filter(message=id).order_by("id").values_list("number", "outcome", "error"))


def effects() -> list[tuple[int, int]]:
    """Read which messages have left an effect, and at which attempt; sorted."""
    return sorted(Effect.objects.values_list("message_id", "attempt"))


def let_pass(span: timedelta, *ids: int) -> None:
    """Let time pass, for all rows or for some of the messages only: what is compared with it moves back by ``span``.

    Whatever this thread remembers to have looked at a moment ago is as old.
    """
    memory.forget_all()
    for model, names in TIMES.items():
        if ids and model is not Message:
            continue
        found = model.objects.filter(pk__in=ids) if ids else model.objects.all()
        found.update(**{name: F(name) - span for name in names})


def set_row(id: int, **changes: Any) -> None:
    """Put the row into a state that would take long to reach."""
    assert Message.objects.filter(pk=id).update(**changes) == 1


def now() -> datetime:
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
        assert self.ended is not None
        return self.began <= moment <= self.ended


@contextmanager
def timed() -> Iterator[Span]:
    """Note the database's time before and after."""
    span = Span(now())
    yield span
    span.ended = now() + timedelta(milliseconds=1)
