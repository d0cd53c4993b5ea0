"""Which message a line of the log is about.

Give the handler of your ``LOGGING`` the filter ``outbox.logs.MessageFilter``, and its format a place for what the
filter knows: ``%(outbox)s`` is ``message=17 attempt=2 consumer=awards.issue_points`` in every line that is written
while a worker is at work on that message, by whatever logger, and ``message=- attempt=- consumer=-`` in all others. A
thread that a consumer starts begins with nothing.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outbox.models import Message

NO_MESSAGE = "-"

_at_work_on: "ContextVar[tuple[Message, ...]]" = ContextVar("outbox_at_work_on", default=())


@contextmanager
def at_work_on(*messages: "Message") -> Iterator[None]:
    """Let every line that this thread writes in the block be about these messages, all of one consumer."""
    token = _at_work_on.set(messages)
    try:
        yield
    finally:
        _at_work_on.reset(token)


def in_this_context(function: Callable[[], object]) -> Callable[[], object]:
    """Return ``function`` as one whose lines are about what we are at work on now, whenever it is called."""
    messages = _at_work_on.get()

    def call() -> object:
        with at_work_on(*messages):
            return function()

    return call


class MessageFilter(logging.Filter):
    """Lets every record through, and adds what it is about.

    As ``outbox`` for formats of text, and as ``outbox_message``, ``outbox_attempt`` and ``outbox_consumer`` for formats
    of fields; all are strings. A consumer called once for many messages has their ids, joined by commas.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add it, as it is for the thread that writes."""
        messages = _at_work_on.get()
        message = ",".join(str(each.pk) for each in messages) or NO_MESSAGE
        attempt = ",".join(dict.fromkeys(str(each.attempts) for each in messages)) or NO_MESSAGE
        consumer = messages[0].consumer if messages else NO_MESSAGE
        record.__dict__.update(
            outbox=f"message={message} attempt={attempt} consumer={consumer}",
            outbox_message=message,
            outbox_attempt=attempt,
            outbox_consumer=consumer,
        )
        return True
