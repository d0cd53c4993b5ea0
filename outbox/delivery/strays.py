"""Strays: rows that we have started without knowing it, as the answer to the statement that did so was lost.

No call was made for them. Left alone they wait until their lease is over, and are taken for those of a lost worker.
"""

import logging
from collections.abc import Set

from outbox.memory import Memory
from outbox.models import Message, Status
from outbox.policy import ZERO

log = logging.getLogger("outbox.delivery")

_expected: Memory[list[bool]] = Memory(lambda: [False], per_thread=True)
"""Whether something that may start rows has broken off in this thread."""


def expect() -> None:
    """Note that something has broken off that may have started rows."""
    _expected.value[0] = True


def give_back(worker: str, *, held: Set[int] = frozenset()) -> None:
    """Give back what ``worker`` has started and does not hold, if strays are expected; raises if that fails."""
    if not _expected.value[0]:
        return
    for row in Message.objects.unfinished().filter(status=Status.STARTED, worker=worker).exclude(pk__in=held):
        log.warning("message %d was started without a call for it, and is given back", row.pk)
        put_back(row)
    _expected.value[0] = False


def put_back(message: Message) -> None:
    """Give back what was started and not called: it may be started at once, and nothing is spent."""
    Message.objects.held([message.fence]).mark_pending(wait=ZERO, free=True, lost=message.lost, error=None)
