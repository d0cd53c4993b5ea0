"""``outbox_receiver`` that ends itself by SIGKILL: between a commit and its acknowledgement, or over a message.

``python -m tests.harness.mortal_receiver ack`` or ``… topic``: nothing of it is told to the engine, and the process is
gone at that very line, with all that the broker had sent it.
"""

import os
import signal
import sys
from typing import Any, NoReturn

import django
from django.core.management import call_command


def die(*_args: Any, **_kwargs: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def main(where: str) -> None:
    django.setup()
    from outbox import sources
    from outbox.external.ingest.feed import Feed

    if where == "ack":
        Feed.ack = die  # type: ignore[method-assign]
    else:
        source = sources.all_sources()[0]
        told: Any = source.topic

        def topic_of(incoming: Any) -> str:
            return die() if incoming.properties.get("message_id") == "poison" else str(told(incoming))

        object.__setattr__(source, "topic", topic_of)
    call_command("outbox_receiver")


if __name__ == "__main__":
    main(sys.argv[1])
