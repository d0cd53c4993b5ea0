"""Asking the checks: which half messages are due, what their checks say, and what follows from that.

A check is foreign code. Each is asked in a thread, in no transaction and with sessions of its own. Before it is asked
that is written down and committed, with the time by which it must have answered; so a check that hangs, or whose
process dies, is found by the next pass. An answer is taken only from the question that is still open.
"""

import logging
import os
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import random
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connections, transaction
from django.db.models import F
from django.db.models.functions import Now

from outbox import options
from outbox.conf import conf
from outbox.errors import Unavailable
from outbox.external.halves import check_backs
from outbox.external.halves.check_backs import WAITS, CheckBack
from outbox.external.halves.settling import publish_half, take_half_back
from outbox.models import Half, HalfAnswer, HalfState, Said, SettledBy
from outbox.models.said import storable

log = logging.getLogger("outbox.halves")

DETAIL_LENGTH = 2_000
UNCOUNTED = frozenset({Said.UNAVAILABLE})
"""Answers after which it is asked again, however often."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that is written down: of which half message, and by which check."""

    half: Half
    check: CheckBack


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check has said, or why it has said nothing."""

    said: Said
    detail: str = ""


def claim(limit: int, *, crowded: Collection[int] = ()) -> list[Asked]:
    """Write down the next questions, at most ``limit``, and return them; note those that were never answered.

    Rows that others look at are left to them. Of the half messages ``crowded`` so many calls hang in this process that
    it makes no further one: they count as not answered, so that a person is asked in the end.
    """
    asked = []
    with transaction.atomic(using=conf().database):
        for half in Half.objects.due().select_for_update(skip_locked=True)[:limit]:
            check = check_backs.get(half.check_name)
            if half.asked_at is not None:
                _note_silence(half, check)
            elif check is None:
                _note_missing(half)
            elif half.pk in crowded:
                _note_crowded(half, check)
            else:
                asked.append(_write_down(half, check))
    return asked


def ask(asked: Asked) -> Answer:
    """Ask the check, note what it has said, and do what follows from that."""
    try:
        answer = _call(asked)
        connections.close_all()  # whatever it has left open
        _record(asked, answer)
        return answer
    finally:
        connections.close_all()


def _write_down(half: Half, check: CheckBack) -> Asked:
    number = half.asked + 1
    Half.objects.filter(pk=half.pk).update(asked=number, asked_at=Now(), check_at=Now() + check.timeout)
    worker = f"{socket.gethostname()}:{os.getpid()}"[:100]
    HalfAnswer(half=half, number=number, worker=worker).save(force_insert=True, using=conf().database)
    half.asked = number
    return Asked(half, check)


def _call(asked: Asked) -> Answer:
    """Return what the check says. The boundary of foreign code: every exception ends here."""
    function: Any = asked.check.function
    try:
        said = (async_to_sync(function) if options.is_async(function) else function)(asked.half)
    except Unavailable as error:
        return Answer(Said.UNAVAILABLE, str(error))
    except BaseException as error:
        log.warning("%s: the check %s failed", asked.half, asked.check.name, exc_info=error)
        return Answer(Said.ERROR, f"{type(error).__name__}: {error}")
    match said:
        case True:
            return Answer(Said.YES)
        case False:
            return Answer(Said.NO)
        case None:
            return Answer(Said.NOT_YET)
        case _:
            return Answer(Said.WRONG, _shown(said))


def _shown(said: object) -> str:
    try:
        return repr(said)[:DETAIL_LENGTH]
    except Exception:  # it has a ``__repr__`` of somebody's own
        return f"something of type {type(said).__name__}"


def _record(asked: Asked, answer: Answer) -> None:
    """Settle the half, or have its check asked again, if this question is still the open one."""
    match answer.said:
        case Said.YES:
            refused = _settle(asked, answer, publish_half)
        case Said.NO:
            refused = _settle(asked, answer, take_half_back)
        case _:
            refused = answer
    if refused is not None:
        with transaction.atomic(using=conf().database):
            if _take_answer(asked, refused):
                _ask_again(asked.half, refused, asked.check)


def _settle(asked: Asked, answer: Answer, settle: Callable[..., bool]) -> Answer | None:
    """Write the answer and what follows in one transaction; return why it could not be done, if it could not."""
    try:
        with transaction.atomic(using=conf().database):
            if _take_answer(asked, answer):
                settle(asked.half, by=SettledBy.CHECK)
        return None
    except Exception as error:
        # The topic has no consumer any more, the key is another's, the database is away: it is asked again.
        log.exception("%s: the check said %s, and that could not be done", asked.half, answer.said)
        return Answer(Said.REFUSED, f"{type(error).__name__}: {error}")


def _take_answer(asked: Asked, answer: Answer) -> bool:
    """Note the answer; False if the half was settled, or asked about again, before it came."""
    half = asked.half
    is_open = Half.objects.filter(pk=half.pk, state=HalfState.OPEN, asked=half.asked, asked_at__isnull=False)
    held = bool(is_open.update(asked_at=None))
    said = answer.said if held else Said.LATE
    detail = answer.detail if held else f"{answer.said.value} {answer.detail}".strip()
    HalfAnswer.objects.filter(half=half, number=half.asked).update(
        said=said, detail=storable(detail, most=DETAIL_LENGTH), answered_at=Now()
    )
    return held


def _note_silence(half: Half, check: CheckBack | None) -> None:
    HalfAnswer.objects.filter(half=half, number=half.asked, said=Said.ASKED).update(said=Said.SILENT)
    log.warning("%s: the check %s has not answered in time", half, half.check_name)
    _ask_again(half, Answer(Said.SILENT), check)


def _note_missing(half: Half) -> None:
    log.warning("%s: the check %s is not in the code", half, half.check_name)
    _note_not_asked(half, Answer(Said.MISSING), None)


def _note_crowded(half: Half, check: CheckBack) -> None:
    log.warning("%s: earlier calls of the check %s still hang, so it was not called again", half, half.check_name)
    _note_not_asked(
        half, Answer(Said.SILENT, "earlier calls still hang in this process: it was not called again"), check
    )


def _note_not_asked(half: Half, answer: Answer, check: CheckBack | None) -> None:
    HalfAnswer(half=half, number=half.asked + 1, said=answer.said, detail=answer.detail, answered_at=Now()).save(
        force_insert=True, using=conf().database
    )
    half.asked += 1
    Half.objects.filter(pk=half.pk).update(asked=half.asked)
    _ask_again(half, answer, check)


def _ask_again(half: Half, answer: Answer, check: CheckBack | None) -> None:
    """Have it asked again after a wait that grows, or ask a person if it was asked often enough."""
    waits = check.retry if check is not None else WAITS
    fruitless = half.fruitless + (answer.said not in UNCOUNTED)
    rows = Half.objects.filter(pk=half.pk, state=HalfState.OPEN)
    if fruitless >= waits.limit:
        rows.update(
            state=HalfState.UNKNOWN, fruitless=fruitless, check_at=None, asked_at=None, revision=F("revision") + 1
        )
        log.error("%s is unknown after %d questions; a person has to decide", half, half.asked)
        return
    wait: timedelta = waits.wait(max(fruitless, 1), uniform=random())  # noqa: S311  # jitter, no secret
    rows.update(fruitless=fruitless, check_at=Now() + wait, asked_at=None)


def ask_all(claimed: Sequence[Asked]) -> None:
    """Ask one after the other in this thread; for tests of host projects."""
    for asked in claimed:
        _record(asked, _call(asked))
