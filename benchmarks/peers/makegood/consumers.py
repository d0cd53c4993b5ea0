"""The work as consumers: one by one, in bulk (``BENCH_BULK``), or by several of one topic (``BENCH_FAN_OUT``)."""

import os
from collections.abc import Callable, Sequence

from benchmarks.peers.work.models import Award
from outbox import Message, consumer

FAN_OUT = int(os.environ.get("BENCH_FAN_OUT", "1"))
BULK = os.environ.get("BENCH_BULK") == "1"


def issuing(place: int) -> Callable[[Message], None]:
    """Return a handler that issues the award at its own place behind the one that the message names."""

    def issue(message: Message) -> None:
        Award.objects.filter(pk=message.payload["award"] + place).issue()

    return issue


def issue_many(messages: Sequence[Message]) -> None:
    """Issue the awards of many messages by one update."""
    Award.objects.filter(pk__in=[message.payload["award"] for message in messages]).issue()


if BULK:
    consumer("work.won", name="bench.issue_many", bulk=True, chunk=500)(issue_many)
else:
    for place in range(FAN_OUT):
        consumer("work.won", name=f"bench.issue_{place}")(issuing(place))
