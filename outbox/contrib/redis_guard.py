"""A guard in Redis for effects that have no key of their own: an SMS, a call that knows no idempotency key.

The field notes' state of a request, with an owner: *absent* → 0 *taken* → 1 *done*. Whoever finds it done does not act.
Whoever finds it taken by another that lives waits. Whoever finds it taken by one that died cannot know how far that one
had come: the message goes to the desk, *may have happened*, and a person decides.

A guard that is taken never expires. Its owner says every few seconds that it lives. A guard that is done outlives the
message; and where a guard is missing although the message was tried before, that is a question for a person, too.

Needs the extra ``redis``, and ``OUTBOX["REDIS_URL"]``.
"""

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q
from django.utils.asyncio import async_unsafe
from redis.exceptions import RedisError

from outbox.conf import FOR_EVER, conf
from outbox.contrib import redis_heart, redis_scripts
from outbox.contrib.redis_connection import client
from outbox.contrib.redis_scripts import Found
from outbox.delivery.non_atomic import INTERRUPTED
from outbox.errors import MayHaveHappened, Snooze, Unavailable
from outbox.failures.reasons import said_to_have_acted
from outbox.models import Attempt, AttemptOutcome, Message
from outbox.models.attempt import REPEATED

KEPT_BEYOND = timedelta(days=400)
"""How much longer than a settled message a guard is kept that is done; a failed one may lie at the desk for as long."""
LOOK_AGAIN = timedelta(seconds=10)
"""After how long a message is tried again whose effect another has under way."""
EFFECT_LENGTH = 100
NOT_IN_ASYNC = (
    "outbox.contrib.redis_guard.once() cannot be used in async code: put it and the effect into a plain function, and "
    "call it by asgiref.sync.sync_to_async"
)


class Guard(NamedTuple):
    """The guard of one effect of one message: its key in Redis, and the token of whoever has it taken."""

    key: str
    owner: str


@contextmanager
def once(message: Message, *, effect: str = "") -> Iterator[bool]:
    """Have the block act for this message once, whatever becomes of the worker; yield whether it is to act at all.

    ::

        with once(message) as is_mine:
            if is_mine:
                sms.send(message.payload["phone"], text)

    False: an earlier attempt has done it. ``effect`` names it, where a handler has several.

    The end of the block says that it is done. Where the block raises, the guard is given back if the effect was
    certainly not begun: ``Reject``, ``Snooze``, ``Unavailable``, a connection that was never made, an answer below 500,
    or an error whose attribute ``may_have_acted`` is False. After any other error nobody knows, and the message fails
    at once, with reason *effect unknown*: a retry by hand then acts, and marking it as handled does not.

    Raises ``Snooze`` while another that lives has it taken, ``Unavailable`` while Redis cannot be asked (no attempt is
    spent), and ``MayHaveHappened`` if it was taken by one that died, or is missing although the message was tried.
    """
    guard = Guard(_key_of(message, effect), f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex}")
    if not _take(message, guard):
        yield False
        return
    try:
        with redis_heart.beating_for(guard.key, guard.owner):
            yield True
    except Exception as error:
        if said_to_have_acted(error) is False:
            redis_heart.settle(guard.key, guard.owner, redis_scripts.FREE, _kept())
            raise
        redis_heart.settle(guard.key, guard.owner, redis_scripts.LEFT, _kept())
        raise MayHaveHappened(
            f"the effect was begun and ended in {type(error).__name__}: {error}; nobody knows whether it has happened"
        ) from error
    # What ends the process is no Exception: the guard stays taken, by one that dies.
    redis_heart.settle(guard.key, guard.owner, redis_scripts.DONE, _kept())


@async_unsafe(NOT_IN_ASYNC)
def _take(message: Message, guard: Guard) -> bool:
    """Take the guard; False if the effect is done. Raise what the message has to do instead."""
    try:
        found = _ask(message, guard, may_be_absent=message.attempts <= 1)
        if found.state == redis_scripts.ABSENT:
            _refuse_what_was_tried(message)
            found = _ask(message, guard, may_be_absent=True)
    except RedisError as error:
        # It may have been taken all the same, and only the answer was lost: give that back as soon as Redis answers.
        redis_heart.settle_later(guard.key, guard.owner, redis_scripts.FREE, _kept())
        raise Unavailable(f"Redis does not answer, so nothing was begun: {type(error).__name__}: {error}") from error
    match found.state:
        case redis_scripts.TAKEN:
            return True
        case redis_scripts.DONE:
            return False
        case redis_scripts.BUSY:
            raise Snooze(LOOK_AGAIN, f"the effect is under way by {found.owner}")
        case _:
            raise MayHaveHappened(
                f"{found.owner} had begun the effect and did not say how it ended; nobody knows whether it has happened"
            )


def _ask(message: Message, guard: Guard, *, may_be_absent: bool) -> Found:
    retried = message.retried_at.isoformat() if message.retried_at else ""
    return redis_scripts.take(
        client(),
        guard.key,
        guard.owner,
        revision=message.revision,
        retried=retried,
        stale=redis_heart.STALE,
        may_be_absent=may_be_absent,
        kept=_kept(),
    )


def _refuse_what_was_tried(message: Message) -> None:
    """Raise ``MayHaveHappened`` if an earlier attempt may have begun the effect, and no person has decided since."""
    interrupted = Q(outcome=AttemptOutcome.UNAVAILABLE, error__startswith=INTERRUPTED)
    tried = Attempt.objects.filter(message_id=message.pk, number__lt=message.attempts)
    tried = tried.filter(~Q(outcome__in=REPEATED) | interrupted)
    if message.retried_at is not None:
        tried = tried.filter(ended_at__gt=message.retried_at)
    if tried.exists():
        raise MayHaveHappened(
            "the message was tried before and its guard is missing in Redis; nobody knows whether the effect has "
            "happened"
        )


def _key_of(message: Message, effect: str) -> str:
    if not isinstance(effect, str) or len(effect) > EFFECT_LENGTH:
        raise ImproperlyConfigured(f"once(effect={effect!r:.120}): a str of at most {EFFECT_LENGTH} characters")
    return f"{conf().prefix}:once:{message.idempotency_key}" + (f":{effect}" if effect else "")


def _kept() -> timedelta | None:
    """Return how long a guard that is done is kept; None: for ever."""
    kept: Any = conf().keep_finished
    return None if kept > FOR_EVER - KEPT_BEYOND else kept + KEPT_BEYOND
