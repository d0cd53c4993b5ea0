"""Rehearsals of whole sets, beside the work of a worker: one at a time, in a thread that asks a process of its own.

Celery-beat calls ``go_on`` every second on the control queue, and workers do it if nobody else does. Whoever finds a
rehearsal that nobody is at takes it, under a name that no other has, and goes on where the last one was. Every half
second it notes how far it has come, if the rehearsal still is its own: who was killed, was stopped or was overtaken
notes nothing any more. What was called and not noted is called again, which changes nothing: all of it is rolled back.
"""

import logging
import threading
from collections import deque
from contextlib import closing, suppress
from datetime import timedelta
from secrets import token_hex
from time import monotonic

from django.db import Error, connections, transaction
from django.db.models import Q
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.delivery import database_errors
from outbox.models import BulkItem, BulkOperation, BulkRehearsal
from outbox.models.bulk import ACTIVE, ENDED, BulkItemQuerySet
from outbox.models.rehearsal import BulkRehearsalQuerySet, RehearsalState, RehearsalStop
from outbox.monitoring.planned import read_plans
from outbox.operate.patch import Patch
from outbox.rehearsal import code, run, whole_sets
from outbox.rehearsal.results import Result, Summary

log = logging.getLogger("outbox.rehearsal")

LEASE = timedelta(seconds=10)
"""How long a rehearsal whose worker says nothing is left alone."""
SAVE_EVERY = 0.5
"""Seconds between two notes of how far it has come, at most two more while one message is called."""
OVERDUE = timedelta(seconds=5)
"""How long nobody has gone on with a rehearsal when workers do that beside their tasks."""
SPAN = 20_000
"""Messages that are asked for at once: one process calls so many, and its start is not felt."""


class _NoLongerOurs(Exception):
    """Somebody has stopped the rehearsal, or another worker has taken it."""


def go_on() -> bool:
    """Take the oldest rehearsal if nobody is at it, and go on with it in a thread; tell whether it was taken.

    One query if there is none.
    """
    rehearsal = take()
    if rehearsal is None:
        return False
    threading.Thread(target=_play_in_a_thread, args=(rehearsal,), name="outbox.rehearsal", daemon=True).start()
    return True


def go_on_if_overdue() -> bool:
    """Take it if nobody has for five seconds more than it was left alone. How workers cover for a dead beat."""
    never_taken = Q(seen_at__isnull=True, started_at__lt=Now() - OVERDUE)
    left = BulkRehearsal.objects.going_on().filter(never_taken | Q(seen_at__lt=Now() - LEASE - OVERDUE))
    return left.exists() and not read_plans()["bulk"].switched_off and go_on()


def take() -> BulkRehearsal | None:
    """Take the oldest rehearsal for this worker, if nobody is at it."""
    oldest = BulkRehearsal.objects.going_on().order_by("pk").values_list("pk", flat=True).first()
    if oldest is None:
        return None
    is_left = Q(seen_at__isnull=True) | Q(seen_at__lt=Now() - LEASE)
    taken = BulkRehearsal.objects.going_on().filter(is_left, pk=oldest)
    if not taken.update(state=RehearsalState.RUNNING, holder=token_hex(16), seen_at=Now()):
        return None
    return BulkRehearsal.objects.select_related("operation").get(pk=oldest)


def _play_in_a_thread(rehearsal: BulkRehearsal) -> None:
    try:
        play(rehearsal)
    finally:
        connections.close_all()


def play(rehearsal: BulkRehearsal) -> None:
    """Rehearse what is left of a set that was taken, consumer by consumer, and end it."""
    at_work = _AtWork(rehearsal)
    try:
        for consumer in rehearsal.consumers:
            if at_work.summary_of(consumer).together is None:
                _play_consumer(at_work, consumer)
        at_work.end(RehearsalState.DONE)
    except _NoLongerOurs:
        log.info("the rehearsal of %s is no longer this worker's", rehearsal.operation)
    except Exception as error:
        if database_errors.may_pass(error):
            # The lease lapses, and whoever comes then goes on.
            log.exception("the rehearsal of %s was broken off", rehearsal.operation)
            return
        # Whatever else it is, it would be the same the next time, and others wait for their turn.
        log.exception("%s could not be rehearsed", rehearsal.operation)
        at_work.fail(f"{type(error).__name__}: {error}")


def _play_consumer(at_work: "_AtWork", name: str) -> None:
    consumer, patch = run.rehearsable(name), Patch.from_json(at_work.rehearsal.operation.patch)
    at_work.rehearsal.codes.setdefault(name, code.digest_of(consumer))
    while ids := at_work.next_messages(name):
        with closing(run.rehearse(name, ids, patch=patch, meanwhile=at_work.note)) as results:
            for result in results:
                at_work.add(name, result)
                at_work.note()
    first = at_work.first_messages(name, consumer.chunk)
    together = run.rehearse_together(name, first, patch=patch, meanwhile=at_work.note)
    at_work.finish(name, together)


class _AtWork:
    """How far one worker has come with a rehearsal: what is noted of it, and what is not noted yet.

    Results come in nearly the order of the set. What is noted is all up to one item of it, each message once.
    """

    def __init__(self, rehearsal: BulkRehearsal) -> None:
        self.rehearsal = rehearsal
        self._summaries = {name: Summary.from_json(found) for name, found in rehearsal.results.items()}
        self._waiting: deque[tuple[int, int]] = deque()
        self._early: dict[int, Result] = {}
        self._noted_at = monotonic()

    def summary_of(self, consumer: str) -> Summary:
        """Return what was found for a consumer so far."""
        return self._summaries.setdefault(consumer, Summary())

    def next_messages(self, consumer: str) -> list[int]:
        """Return the messages that come next, no more than ``SPAN``."""
        items = self._items_of(consumer).filter(pk__gt=self.rehearsal.position)
        self._waiting = deque(items.values_list("pk", "message_id")[:SPAN])
        return [message for _item, message in self._waiting]

    def first_messages(self, consumer: str, many: int) -> list[int]:
        """Return the first messages of the set."""
        return list(self._items_of(consumer).values_list("message_id", flat=True)[:many])

    def _items_of(self, consumer: str) -> BulkItemQuerySet:
        items = BulkItem.objects.of(self.rehearsal.operation).todo()
        return items.filter(message__consumer=consumer).order_by("pk")

    def add(self, consumer: str, result: Result) -> None:
        """Count a result, as soon as those before it are there."""
        self._early[result.message_id] = result
        while self._waiting and self._waiting[0][1] in self._early:
            item, message = self._waiting.popleft()
            self.summary_of(consumer).add(self._early.pop(message))
            self.rehearsal.position, self.rehearsal.done = item, self.rehearsal.done + 1

    def finish(self, consumer: str, together: tuple[int, int]) -> None:
        """Note what one chunk came to together; the next consumer begins with the set."""
        self.summary_of(consumer).together = together
        self.rehearsal.position = self.rehearsal.operation.first_item - 1
        self._save()

    def note(self) -> None:
        """Note how far it has come, if that was not done just now."""
        if monotonic() - self._noted_at >= SAVE_EVERY:
            self._save()

    def end(self, state: RehearsalState) -> None:
        """Note the end, if the rehearsal is still this worker's."""
        with suppress(_NoLongerOurs):
            self._save()
            self._end(state)

    def fail(self, error: str) -> None:
        """Note that it could not be rehearsed, and why, also where what was found since the last note is why."""
        with suppress(_NoLongerOurs):
            with suppress(Error):
                self._save()
            self._end(RehearsalState.FAILED, error=error)

    def _end(self, state: RehearsalState, *, error: str = "", because: RehearsalStop | None = None) -> None:
        with transaction.atomic(using=conf().database):
            if self._ours().select_for_update(no_key=True).exists():
                whole_sets.end(self.rehearsal, state, error=error, because=because)

    def _ours(self) -> BulkRehearsalQuerySet:
        """Return the rehearsal, unless somebody has stopped it or another worker has taken it."""
        rehearsal = self.rehearsal
        return BulkRehearsal.objects.filter(pk=rehearsal.pk, holder=rehearsal.holder, state=RehearsalState.RUNNING)

    def _save(self) -> None:
        rehearsal, now = self.rehearsal, monotonic()
        rehearsal.ran_seconds += now - self._noted_at
        rehearsal.results = {name: summary.as_json(with_errors=False) for name, summary in self._summaries.items()}
        self._noted_at = now
        columns = ("results", "codes", "position", "done", "ran_seconds")
        if not self._ours().update(seen_at=Now(), **{name: getattr(rehearsal, name) for name in columns}):
            raise _NoLongerOurs
        if BulkOperation.objects.filter(pk=rehearsal.operation_id, state__in=[*ACTIVE, *ENDED]).exists():
            self._end(RehearsalState.STOPPED, because=RehearsalStop.OPERATION)
            raise _NoLongerOurs
