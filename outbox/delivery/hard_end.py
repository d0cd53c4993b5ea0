"""The end of a process whose handler cannot be broken off: first it is written down whose fault that is.

The handler's connection is cut, so the server rolls its transaction back and lets go of the rows. Then the message that
the handler hung on is settled as timed out, and its neighbours are given back: none of them is taken for the loss of a
worker. All this by compare-and-set. If it fails, as without a database, the rows are recovered as of a lost worker.
"""

import logging
import os
import signal
import socket
import threading
import traceback
from collections.abc import Sequence
from datetime import timedelta
from types import FrameType
from typing import Any

from django.db import transaction

from outbox.conf import conf
from outbox.delivery import execution, settling, time_limits
from outbox.delivery.execution import Report
from outbox.delivery.time_limits import Call
from outbox.failures import counting
from outbox.failures.fingerprint import without_error
from outbox.models import Message, Status
from outbox.models.said import storable
from outbox.models.sql import statements
from outbox.policy import Reason, TimedOut, WorkerLost

log = logging.getLogger("outbox.delivery")

PATIENCE = timedelta(seconds=5)
"""How long the process waits until it is written down; then it ends without."""


def end_process(call: Call, raw: Any, place: FrameType | None) -> None:
    """Write down that the call has timed out, and end this process."""
    where = "".join(traceback.format_stack(place)) if place else ""
    log.critical(
        "%s did not end when it was broken off after %s (messages %s); its process is ended. It hung at\n%s",
        call.consumer.name,
        call.consumer.timeout,
        ", ".join(str(message.pk) for message in call.messages),
        where,
    )
    note = threading.Thread(target=_write_down, args=(call, raw, where), daemon=True)
    note.start()
    note.join(PATIENCE.total_seconds())
    os.kill(os.getpid(), signal.SIGKILL)


def _write_down(call: Call, raw: Any, where: str) -> None:
    try:
        _cut(raw)
        settle(call, where)
    except Exception:
        # Whatever it is: the process ends, and the rescan takes its rows back.
        log.exception("%s: it could not be written down what was ended", call.consumer.name)


def _cut(raw: Any) -> None:
    """Break off what the connection is at, and have the server find it gone."""
    time_limits.cancel(raw)
    with socket.socket(fileno=os.dup(raw.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def settle(call: Call, where: str) -> None:
    """Settle the call's message as timed out, and give back what else this worker had started of the consumer."""
    guilty = {message.fence for message in call.messages}
    mine = Message.objects.filter(consumer=call.consumer.name, worker=call.messages[0].worker, status=Status.STARTED)
    with transaction.atomic(using=conf().database, durable=True):
        fences = [message.fence for message in mine.unfinished()]
        rows = statements.lock(fences, wait=PATIENCE, limit=PATIENCE)
        hung = [row for row in rows if row.fence in guilty]
        _hand_over_exchanges(call.messages, hung)
        reports = _reports(call, hung, where)
        neighbours = [row for row in rows if row.fence not in guilty]
        settling.settle(call.consumer, [*reports, *execution.give_back(neighbours)])
    counting.count_failures({report.failure: 1 for report in reports if report.failure})


def _hand_over_exchanges(called: Sequence[Message], hung: Sequence[Message]) -> None:
    """Let the rows as they are read now have what the handler has recorded on the messages it was called for."""
    recorded = {message.pk: message.exchanges for message in called}
    for row in hung:
        row.exchanges = list(recorded[row.pk] or ())


def _reports(call: Call, hung: Sequence[Message], where: str) -> list[Report]:
    """Return what the messages of the call came to. Of several in one call, nobody knows which it hung on."""
    if len(call.messages) > 1:
        return [Report(message, WorkerLost()) for message in hung]
    text = f"{time_limits.took_longer(call.consumer)}, and did not end"
    failure = without_error(call.consumer.name, Reason.TIMED_OUT)
    stack = storable(where[-execution.TRACEBACK_LENGTH :])
    return [Report(message, TimedOut(ended_its_worker=True), text, stack, failure) for message in hung]
