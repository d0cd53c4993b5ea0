"""Reading ahead: while the database writes one batch, a second thread takes the next from the broker and reads it.

The feed is handed over and back. Whoever has it uses it alone, and so it is with the project's functions.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from django.db import connections

from outbox.conf import conf
from outbox.external.ingest.feed import Feed
from outbox.external.ingest.reading import Readable, Refused, read
from outbox.external.sequences import watching
from outbox.sources import Incoming, Source

STEPS = 8
"""Messages that are read before the other thread may go on."""


@contextmanager
def reading_ahead(feed: Feed, source: Source, *, most: int) -> Iterator[None]:
    """Read what comes, up to ``most`` messages, whenever the block waits for the database.

    What goes wrong meanwhile is raised when the block has ended well; if it has not, its own error counts.
    """
    waiting, over = threading.Event(), threading.Event()
    wrong: list[BaseException] = []

    steps = count(1)

    def may_go_on() -> bool:
        # Python lets one thread run at a time: ours while the other has nothing to do, which it lets through soon.
        if next(steps) % STEPS == 0:
            time.sleep(0)
        if not waiting.is_set():
            waiting.wait()
        return not over.is_set()

    def run() -> None:
        try:
            feed.read_ahead(lambda incoming: _read(source, incoming), most=most, may_go_on=may_go_on)
        except BaseException as error:  # raised again in the thread that waits for this one
            wrong.append(error)
        finally:
            # Of this thread's own: a function of the project's may have opened one.
            connections.close_all()

    thread = threading.Thread(target=run, name=f"outbox.receive.{source.name}.ahead", daemon=True)
    thread.start()
    try:
        with connections[conf().database].execute_wrapper(_noting(waiting)):
            yield
    finally:
        over.set()
        waiting.set()
        thread.join()
    if wrong:
        raise wrong[0]


def _read(source: Source, incoming: Incoming) -> Readable | Refused | None:
    """Read a message; a notice of the sender's numbers is none, and no function of the project's sees it."""
    return None if watching.is_notice(incoming) else read(source, incoming)


def _noting(waiting: threading.Event) -> Callable[..., Any]:
    """Return what Django calls for each statement of the block: it notes that the database is waited for."""

    def execute(run: Callable[..., Any], *statement: Any) -> Any:
        waiting.set()
        try:
            return run(*statement)
        finally:
            waiting.clear()

    return execute
