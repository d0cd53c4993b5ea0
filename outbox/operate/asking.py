"""Asking the other side what it knows of a message, by the question that its consumer has given."""

import logging
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connections, transaction
from django.utils.translation import gettext as _

from outbox import options
from outbox.conf import conf
from outbox.declared import Consumer, Question
from outbox.errors import NotAllowed
from outbox.models import Message
from outbox.models.said import storable
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.message_row import consumer_of, read_seen
from outbox.operate.operator_action import Actor, OperatorAction

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


@noted_if_refused(Action.ASK)
def ask(message_id: int, *, actor: Actor, origin: str = "") -> Answer:
    """Ask the other side about a message, and note in the audit who has asked and what it said. Nothing is changed.

    Raises ``NotAllowed`` without the permission, and if the consumer has no question.
    """
    OperatorAction(Action.ASK, actor, "", origin).check()
    return _ask_and_note([read_seen(message_id)], actor=actor, origin=origin)[message_id]


@noted_if_refused(Action.ASK, name=lambda messages: f"messages {[message.pk for message in messages]}")
def ask_about(messages: Sequence[Message], *, actor: Actor, origin: str = "") -> dict[int, Answer]:
    """Do the same for several messages, some at once; return the answers by message."""
    OperatorAction(Action.ASK, actor, "", origin).check()
    return _ask_and_note(messages, actor=actor, origin=origin)


def ask_and_note(message: Message, *, actor: Actor, origin: str = "") -> Answer:
    """Ask for an act that must know; whoever may do that may ask."""
    return _ask_and_note([message], actor=actor, origin=origin)[message.pk]


def _ask_and_note(messages: Sequence[Message], *, actor: Actor, origin: str) -> dict[int, Answer]:
    action = OperatorAction(Action.ASK, actor, "", origin)
    answers = dict(zip([message.pk for message in messages], ask_all(messages), strict=True))
    with transaction.atomic(using=conf().database):
        for message in messages:
            after = {"known": answers[message.pk].known.value, "said": answers[message.pk].said}
            action.record(str(message), message_id=message.pk, before={}, after=after)
    return answers


def ask_all(messages: Sequence[Message]) -> list[Answer]:
    """Ask about each of these messages, some at once; the answers are in the order of the messages.

    After ``PATIENCE_SECONDS`` in all, nobody is waited for any more. Who has not answered by then, or has raised, is
    ``NOT_ASKED``, and ``said`` is why. Raises ``NotAllowed``, before anybody is asked, if a consumer has no question.
    """
    asked: list[tuple[Message, Future[object]]] = []
    todo: queue.SimpleQueue[tuple[Future[object], Question, Message]] = queue.SimpleQueue()
    for message in messages:
        asked.append((message, Future()))
        todo.put((asked[-1][1], _question_of(message), message))
    for _place in range(min(AT_ONCE, len(messages))):
        # A daemon: who never answers must not hold up the end of the process.
        threading.Thread(target=_ask_each, args=(todo,), name="outbox-ask", daemon=True).start()
    until = monotonic() + PATIENCE_SECONDS
    return [_answer(message, future, until) for message, future in asked]


def _question_of(message: Message) -> Question:
    consumer = consumer_of(message)
    if consumer.ask is None:
        raise NotAllowed(_("%(consumer)s has no question for the other side (ask).") % {"consumer": consumer.name})
    return consumer.ask


def _ask_each(todo: "queue.SimpleQueue[tuple[Future[object], Question, Message]]") -> None:
    """Ask one after the other, in a thread of its own with sessions of its own."""
    while True:
        try:
            future, question, message = todo.get_nowait()
        except queue.Empty:
            return
        if not future.set_running_or_notify_cancel():
            continue
        try:
            ask: Any = async_to_sync(question) if options.is_async(question) else question  # type: ignore[arg-type]  # a coroutine function then
            future.set_result(ask(message))
        except BaseException as error:  # the project's code, or its vendor's: whatever it raises, nobody knows
            future.set_exception(error)
        finally:
            connections.close_all()


def _answer(message: Message, future: "Future[object]", until: float) -> Answer:
    """Wait for an answer, and return it in the words of whoever waits."""
    try:
        error = future.exception(max(until - monotonic(), 0))
    except TimeoutError:
        future.cancel()
        log.warning("asking about message %d: no answer within %d s", message.pk, PATIENCE_SECONDS)
        return Answer(
            Known.NOT_ASKED, _("it did not answer within %(seconds)d seconds") % {"seconds": PATIENCE_SECONDS}
        )
    if error is not None:
        log.warning("asking about message %d failed", message.pk, exc_info=error)
        return Answer(Known.NOT_ASKED, _cut(f"{type(error).__name__}: {error}"))
    found = future.result()
    if found is None:
        return Answer(Known.NO)
    if isinstance(found, str) and found.strip():
        return Answer(Known.YES, _cut(found))
    what = _("its question gave neither a text nor None, but %(what)s") % {"what": repr(found)[:80]}
    return Answer(Known.NOT_ASKED, what)


def _cut(text: str) -> str:
    """Return a text of the project's code as the audit can keep it."""
    return storable(text.strip(), most=SAID_LENGTH)
