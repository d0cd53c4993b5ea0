"""The work as consumers: one by one, in bulk (``BENCH_BULK``), or by several of one topic (``BENCH_FAN_OUT``).

With ``BENCH_OUTSIDE`` the work is a call to the vendor instead, by an ``async def`` or in ``threads``. With
``BENCH_FORWARD`` the messages are forwarded to the exchange that it names.
"""

import os
from collections.abc import Callable, Sequence

from kombu import Exchange

from benchmarks.peers.ordering import WIDTH, order, order_async
from benchmarks.peers.work.models import Award
from outbox import Message, consumer

FAN_OUT = int(os.environ.get("BENCH_FAN_OUT", "1"))
BULK = os.environ.get("BENCH_BULK") == "1"
OUTSIDE = os.environ.get("BENCH_OUTSIDE", "")
FORWARD = os.environ.get("BENCH_FORWARD", "")


def issuing(place: int) -> Callable[[Message], None]:
    """Return a handler that issues the award at its own place behind the one that the message names."""

    def issue(message: Message) -> None:
        Award.objects.filter(pk=message.payload["award"] + place).issue()

    return issue


def issue_many(messages: Sequence[Message]) -> None:
    """Issue the awards of many messages by one update."""
    Award.objects.filter(pk__in=[message.payload["award"] for message in messages]).issue()


def order_in_thread(message: Message) -> None:
    """Call the vendor from a thread."""
    order(message.payload)


async def order_on_loop(message: Message) -> None:
    """Call the vendor from the event loop."""
    await order_async(message.payload)


if OUTSIDE:
    handlers = {"async": order_on_loop, "threads": order_in_thread}
    consumer("work.won", name="bench.order", atomic=False, concurrency=WIDTH)(handlers[OUTSIDE])
elif FORWARD:
    # Imported here: other commits of the engine, which are measured by this file as well, have no such thing.
    from outbox import forward

    forward("bench.forward", "work.won", exchange=Exchange(f"{os.environ['OUTBOX_PREFIX']}.{FORWARD}", type="topic"))
elif BULK:
    consumer("work.won", name="bench.issue_many", bulk=True, chunk=500)(issue_many)
else:
    for place in range(FAN_OUT):
        consumer("work.won", name=f"bench.issue_{place}")(issuing(place))
