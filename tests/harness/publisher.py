"""A process of the business: publishes on command and keeps a journal of what it was told is safe.

Reads one JSON object per line, answers each with one. Run as ``python -m tests.harness.publisher``.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import django
from django.db import transaction

django.setup()

from outbox import publish  # noqa: E402  # models need the apps to be ready
from outbox.broker import dispatcher  # noqa: E402
from outbox.broker.connection import BrokerConnection, Hint  # noqa: E402
from outbox.delivery import chunks  # noqa: E402
from outbox.maintenance import rescan  # noqa: E402
from tests.shop.models import Tag  # noqa: E402

dispatch = dispatcher.dispatch


def publish_rows(
    topic: str,
    keys: list[str],
    payload: dict[str, Any],
    each: dict[str, Any],
    per_commit: int,
    every: float,
    business: bool,
    hints: bool,
    journal: str,
    ordering_key: str = "",
) -> list[int]:
    """Publish ``keys``, so many per commit, and write each into the journal once its commit has returned."""
    dispatcher.dispatch = dispatch if hints else lambda ids: None
    ids = []
    for start in range(0, len(keys), per_commit):
        chunk = keys[start : start + per_commit]
        with transaction.atomic():
            for key in chunk:
                if business:
                    Tag.objects.get_or_create(name=f"sold {key}")
                ids += publish(topic, key=key, payload=each.get(key, payload), ordering_key=ordering_key)
        if journal:
            note(Path(journal), chunk)
        time.sleep(every)
    return ids


def note(journal: Path, keys: list[str]) -> None:
    """Write what is surely committed where not even a SIGKILL takes it away."""
    with journal.open("a") as file:
        file.write("".join(f"{key}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())


def measure(topic: str, keys: list[str], every: float) -> list[float]:
    """Return how many seconds each publish with its commit took."""
    dispatcher.dispatch = dispatch
    taken = []
    for key in keys:
        began = time.perf_counter()
        with transaction.atomic():
            Tag.objects.create(name=f"sold {key}")
            publish(topic, key=key, payload={})
        taken.append(time.perf_counter() - began)
        time.sleep(every)
    return taken


def rescan_times(times: int) -> list[dict[str, Any]]:
    """Make so many passes of the rescan, one after the other."""
    return [asdict(rescan.rescan()) for _ in range(times)]


def send_hints(consumer: str, hints: list[list[int]]) -> int:
    """Send hints as anybody could who may write to the queue; return how many the broker took."""
    link = BrokerConnection()
    missing = link.send([Hint(consumer, tuple(ids)) for ids in hints])
    link.close()
    return len(hints) - len(missing)


def deliver(consumer: str, ids: list[int]) -> None:
    """Deliver here, as a worker of this process's code would."""
    chunks.deliver(consumer, ids)


COMMANDS: dict[str, Callable[..., Any]] = {
    "publish": publish_rows,
    "measure": measure,
    "rescan": rescan_times,
    "send hints": send_hints,
    "deliver": deliver,
}


def main() -> None:
    """Answer commands until there are no more."""
    print(json.dumps("up"), flush=True)
    for line in sys.stdin:
        command, arguments = json.loads(line)
        print(json.dumps(COMMANDS[command](**arguments)), flush=True)


if __name__ == "__main__":
    main()
