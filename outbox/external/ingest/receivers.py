"""The process that receives: a thread for each source, which end together."""

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType

from django.db import Error

from outbox.external.ingest.receiver import Receiver
from outbox.models import Heartbeat
from outbox.sources import Source

log = logging.getLogger("outbox.ingest")

ReceiverFor = Callable[[Source, threading.Event], Receiver]
HEARTBEAT = "receiver"
BEAT_EVERY = 5.0
"""Seconds between two heartbeats of the process."""
LEFT_TO_END = 60.0
"""Seconds that a thread has to settle what it holds."""


def run(
    sources: Sequence[Source],
    *,
    stopping: threading.Event,
    ready: Callable[[], object],
    receiver_for: ReceiverFor = Receiver,
) -> bool:
    """Receive from these sources until ``stopping`` is set; False if a thread ended by itself, which none should.

    ``receiver_for`` makes what receives a source; by default it is taken in.
    Without sources it waits, so that a supervisor has nothing to restart.
    """
    failed = threading.Event()
    threads = [
        threading.Thread(
            target=_run,
            args=(receiver_for, source, stopping, failed),
            name=f"outbox.receive.{source.name}",
            daemon=True,
        )
        for source in sources
    ]
    for thread in threads:
        thread.start()
    ready()
    while not stopping.wait(BEAT_EVERY):
        _record([source.name for source in sources])
    for thread in threads:
        thread.join(LEFT_TO_END)
    return not failed.is_set() and not any(thread.is_alive() for thread in threads)


def stop_on_signals(stopping: threading.Event) -> None:
    """Set ``stopping`` on SIGTERM and SIGINT."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _run(receiver_for: ReceiverFor, source: Source, stopping: threading.Event, failed: threading.Event) -> None:
    try:
        receiver_for(source, stopping).run()
    except BaseException:
        # Whatever it was, the process ends with it and is started anew: none of the sources stands still unseen.
        log.exception("%s: the receiver has failed", source.name)
        failed.set()
        stopping.set()


def _record(names: Sequence[str]) -> None:
    try:
        Heartbeat.objects.record(HEARTBEAT, sources=list(names))
    except Error as error:
        log.info("the heartbeat could not be written: %s", error)
