"""Asking the other side what it knows of a message, by the question that its consumer has given."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connections, transaction
from django.utils.translation import gettext as _

from outbox import options
from outbox.conf import conf
from outbox.errors import NotAllowed
from outbox.models import Message
from outbox.operate.actions import Action
from outbox.operate.message_row import consumer_of, read_seen
from outbox.operate.operator_action import Actor, OperatorAction
from outbox.registry import Consumer

log = logging.getLogger("outbox.operate")

PATIENCE_SECONDS = 10.0
"""How long a person at the desk waits for an answer; the question may go on, and is not listened to any more."""
AT_ONCE = 5
"""Questions asked beside each other."""
SAID_LENGTH = 200


class Known(StrEnum):
    """What the other side knows of a message."""

    YES = "yes"
    NO = "no"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking: ``said`` is what the other side has, such as its order number, or why it was not asked."""

    known: Known
    said: str = ""


def can_be_asked(consumer: Consumer | None) -> bool:
    """Tell whether the consumer has given a question."""
    return consumer is not None and consumer.ask is not None


def ask(message_id: int, *, actor: Actor, origin: str = "") -> Answer:
    """Ask the other side about a message, and note in the audit who has asked and what it said. Nothing is changed.

    Raises ``NotAllowed`` without the permission, and if the consumer has no question.
    """
    return ask_about([read_seen(message_id)], actor=actor, origin=origin)[message_id]


def ask_about(messages: Sequence[Message], *, actor: Actor, origin: str = "") -> dict[int, Answer]:
    """Do the same for several messages, some at once; return the answers by message."""
    action = OperatorAction(Action.ASK, actor, "", origin)
    action.check()
    answers = dict(zip([message.pk for message in messages], ask_all(messages), strict=True))
    with transaction.atomic(using=conf().database):
        for message in messages:
            after = {"known": answers[message.pk].known.value, "said": answers[message.pk].said}
            action.record(str(message), message_id=message.pk, before={}, after=after)
    return answers


def ask_all(messages: Sequence[Message]) -> list[Answer]:
    """Ask about each of these messages, some at once; the answers are in the order of the messages."""
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="outbox-ask")
    try:
        asked = [(message, pool.submit(_ask, consumer_of(message), message)) for message in messages]
        return list(_answers(asked))
    finally:
        # Who does not answer keeps its thread until it does; nobody waits for it.
        pool.shutdown(wait=False, cancel_futures=True)


def _answers(asked: Sequence[tuple[Message, "Future[Answer]"]]) -> Iterator[Answer]:
    for message, future in asked:
        try:
            yield future.result(PATIENCE_SECONDS)
        except StillWaiting:
            said = _("it did not answer within %(seconds)d seconds") % {"seconds": PATIENCE_SECONDS}
            log.warning("asking about message %d: no answer within %d s", message.pk, PATIENCE_SECONDS)
            yield Answer(Known.NOT_ASKED, said)


def _ask(consumer: Consumer, message: Message) -> Answer:
    """Ask, in a thread of its own with sessions of its own; whatever the project's code raises is an answer, too."""
    if consumer.ask is None:
        raise NotAllowed(_("%(consumer)s has no question for the other side (ask).") % {"consumer": consumer.name})
    try:
        question: Any = async_to_sync(consumer.ask) if options.is_async(consumer.ask) else consumer.ask  # type: ignore[arg-type]  # a coroutine function then
        said = question(message)
    except Exception as error:  # the project's code, or its vendor's: whatever it raises, nobody knows
        log.warning("asking about message %d failed", message.pk, exc_info=True)
        return Answer(Known.NOT_ASKED, f"{type(error).__name__}: {error}"[:SAID_LENGTH])
    finally:
        connections.close_all()
    if said is None:
        return Answer(Known.NO)
    if isinstance(said, str) and said.strip():
        return Answer(Known.YES, said.strip()[:SAID_LENGTH])
    return Answer(
        Known.NOT_ASKED, _("its question gave neither a text nor None, but %(what)s") % {"what": repr(said)[:80]}
    )
