"""The message table as the tests see it: publish, read where messages stand, empty it again."""

from datetime import datetime
from itertools import count
from typing import Any, NamedTuple

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection, router, transaction
from django.db.models.functions import Now

from outbox import publish
from outbox.models import Attempt, Message
from tests.harness.emptying import delete_everything
from tests.shop.models import Effect

_keys = count(1)


class MessageState(NamedTuple):
    """Where a message stands."""

    status: str
    attempts: int
    attempt_limit: int
    lost: int = 0
    sends: int = 0
    last_error: str = ""
    reason: str = ""


def publish_message(topic: str = "test.sold", *, key: str = "", ordering_key: str = "", **payload: Any) -> int:
    """Publish one message in a transaction of its own and return its id."""
    return publish_messages(1, topic, key=key, ordering_key=ordering_key, **payload)[0]


def publish_messages(
    many: int, topic: str = "test.sold", *, key: str = "", ordering_key: str = "", **payload: Any
) -> list[int]:
    """Publish so many messages to one consumer and return their ids."""
    with transaction.atomic():
        return [
            id
            for _ in range(many)
            for id in publish(topic, key=key or f"key {next(_keys)}", payload=payload, ordering_key=ordering_key)
        ]


def state_of(id: int) -> MessageState:
    """Read where the message stands."""
    return MessageState(*Message.objects.values_list(*MessageState._fields).get(pk=id))


def states_of(ids: list[int]) -> list[MessageState]:
    """Read where the messages stand, in the order of ``ids``."""
    return [state_of(id) for id in ids]


def due_times(*ids: int) -> list[datetime]:
    """Read when the messages are due, in the order of ``ids``."""
    return [Message.objects.values_list("due_at", flat=True).get(pk=id) for id in ids]


def whole_rows() -> list[dict[str, Any]]:
    """Read every message with every field, the oldest first."""
    return [{**row} for row in Message.objects.order_by("id").values()]


def fields_of_all(*fields: str) -> list[tuple[Any, ...]]:
    """Read these fields of every message, the oldest first."""
    return list(Message.objects.order_by("id").values_list(*fields))


def kept_attempts(id: int) -> list[tuple[int, str, str]]:
    """Read number, outcome and error of the attempts that were kept."""
    return list(Attempt.objects.filter(message=id).order_by("id").values_list("number", "outcome", "error"))


def effects() -> list[tuple[int, int]]:
    """Read which messages have left an effect, and at which attempt; sorted."""
    return sorted(Effect.objects.values_list("message_id", "attempt"))


def publish_failed(topic: str, **payload: Any) -> int:
    """Publish a message on which the machine has given up after three attempts, and return its id."""
    id = publish_message(topic, **payload)
    now = {"exhausted_at": Now(), "finished_at": Now()}
    set_message(id, status="failed", attempts=3, attempt_limit=3, last_error="jammed", **now)
    return id


def set_message(id: int, **changes: Any) -> None:
    """Put the row into a state that would take long to reach."""
    assert Message.objects.filter(pk=id).update(**changes) == 1


def empty_tables() -> None:
    """Take every row of the engine and the shop away, and every person; what migrations wrote for others stays."""
    models = [model for label in ("outbox", "shop") for model in apps.get_app_config(label).get_models()]
    if router.db_for_write(User) == connection.alias:
        models += [LogEntry, User.groups.through, User.user_permissions.through, User]
    delete_everything([model._meta.db_table for model in models], alias=connection.alias)
