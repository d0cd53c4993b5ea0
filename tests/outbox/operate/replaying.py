"""Events of an hour ago, and what replays have written of them."""

from outbox.models import Message
from outbox.operate.replays import Span
from tests.harness.clock import HOUR, MINUTE, database_time
from tests.harness.desk import ISSUE, TOPIC

Hints = list[dict[str, list[int]]]
LATER = "desk.later"
WHY = {"actor": "ada", "reason": "it lost every second line"}


def an_hour_ago(make, key: str = "", **fields) -> Message:
    """Write a message that was published an hour ago."""
    message = make(key, **fields)
    Message.objects.filter(pk=message.pk).update(created_at=database_time() - HOUR)
    return message


def span_to(consumer: str = ISSUE, **changes) -> Span:
    now = database_time()
    return Span(**{"topic": TOPIC, "consumer": consumer, "since": now - 2 * HOUR, "until": now - MINUTE, **changes})


def replayed() -> list[tuple[str, str, int]]:
    """Read consumer, key and number of what was written by replays, the oldest first."""
    made = Message.objects.filter(status="pending", attempts=0).order_by("id")
    return list(made.values_list("consumer", "key", "replay"))
