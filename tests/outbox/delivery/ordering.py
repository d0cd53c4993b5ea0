"""Runs of an ordering key as the tests start and see them."""

from collections.abc import Sequence

from django.db.models import F

from outbox.declared import Consumer
from outbox.delivery import starting
from outbox.models import Message
from outbox.models.sql.statements import Started
from tests.harness.messages import MessageState

KEY = "till 1"
NEW = MessageState("pending", attempts=0, attempt_limit=3)
DONE = MessageState("success", attempts=1, attempt_limit=3)
GIVEN_BACK = MessageState("pending", attempts=1, attempt_limit=4)


def asleep() -> list[int]:
    """Return the ids of the messages that are not due before their deadline."""
    return list(Message.objects.unfinished().filter(due_at=F("expires_at")).order_by("id").values_list("pk", flat=True))


def start(till: Consumer, ids: Sequence[int], room: int = 50) -> list[Started]:
    """Start the named heads and what stands behind them, as a worker does."""
    heads = starting.start_named(till, ids)
    return [*heads, *starting.start_behind(till, heads, room=room)]


def holders() -> list[int]:
    """Return the ids of the messages that hold their keys."""
    return list(Message.objects.filter(holds_key=True).order_by("id").values_list("pk", flat=True))
