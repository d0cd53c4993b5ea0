"""Make the calls of one of two processes: ``async`` on an event loop, or ``threads`` in a pool of threads.

Nothing is written down, and what fails ends the process.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

from benchmarks.peers.ordering import WIDTH, order, order_async

PROCESSES = 2
Payload = dict[str, Any]


def main(how: str, place: int) -> None:
    """Make this process's share of the calls, then do nothing until the process is ended."""
    payloads = read_payloads(place)
    if how == "async":
        asyncio.run(call_on_loop(payloads))
    else:
        call_in_threads(payloads)
    time.sleep(3600)


def read_payloads(place: int) -> Sequence[Payload]:
    """Return what is to be ordered for this process's share of the awards, and leave the database."""
    django.setup()
    from django.db import connection

    from benchmarks.peers.work.models import Award, payload_of

    awards = Award.objects.order_by("pk").values_list("pk", flat=True)
    payloads = [payload_of(award) for award in awards if award % PROCESSES == place]
    connection.close()
    return payloads


async def call_on_loop(payloads: Sequence[Payload]) -> None:
    """Call from as many tasks as there may be calls at once; each takes the next when its own is done."""
    left = iter(payloads)
    async with asyncio.TaskGroup() as group:
        for _ in range(WIDTH):
            group.create_task(_call_one_after_another(left))


async def _call_one_after_another(left: Iterator[Payload]) -> None:
    for payload in left:
        await order_async(payload)


def call_in_threads(payloads: Sequence[Payload]) -> None:
    """Call from as many threads."""
    with ThreadPoolExecutor(WIDTH) as pool:
        for _ in pool.map(order, payloads):
            pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
