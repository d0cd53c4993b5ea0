"""The sender's chore: settle the numbers of what was sent, say which will never come, and tell how far the others are.

Celery-beat calls ``go_on`` every five seconds on the control queue; workers do it if nobody else does. It does not wait
for the brokers: the control worker has the rescan to make. No transaction is open while something is sent.
"""

import logging
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

from django.db import connections, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from outbox import registry
from outbox.conf import conf
from outbox.delivery import numbering
from outbox.errors import Unroutable
from outbox.external.forwarding import Forward
from outbox.external.parcels import Parcel
from outbox.external.sequences.ranges import Pair
from outbox.external.sequences.signs import heartbeat_of, void_of
from outbox.models import Heartbeat, Message, NumberState, SequenceNumber, SequenceStream, Status
from outbox.models.queryset import MessageQuerySet
from outbox.models.sequence import SequenceStreamQuerySet
from outbox.monitoring.planned import must_take_over

log = logging.getLogger("outbox.sequences")

HEARTBEAT = "sequences"
TAKEOVER = "sequences by a worker"
OVERDUE = timedelta(seconds=30)
"""Age of the last pass at which workers do it themselves."""
BUDGET = timedelta(seconds=30)
"""How long one pass takes at most, but for the last stream."""
SENDING = timedelta(seconds=10)
"""How long the notices of a stream may take to be sent."""
VOIDS = 1_000
"""Numbers of a stream that are said at once never to come."""
NUMBERS = 100_000
"""Open numbers of a stream that are looked at for a heartbeat; where there are more, it speaks of these alone."""
ENDED_FOR = timedelta(days=1)
"""How long at least a stream that has ended is told of after the last of its messages was sent. One heartbeat finds no
gap: a receiver claims what several of them say; and it may be down."""
TAIL = 1_000
"""The highest numbers of a stream that has ended: those that were being sent when it did."""
RANGES = 2_000
"""Ranges of open numbers that a heartbeat names; where there are more, it speaks of the lower numbers alone."""


@dataclass
class _Pass:
    """Whether this process is at it."""

    pid: int = field(default_factory=os.getpid)
    at_work: threading.Lock = field(default_factory=threading.Lock)


_pass = _Pass()


def go_on() -> bool:
    """Begin a pass in a thread if a stream is due; False if none is, or the last pass is not over."""
    global _pass
    if not _due().exists():
        return False
    if _pass.pid != os.getpid():
        _pass = _Pass()  # the thread stayed behind in the process that was forked
    if not _pass.at_work.acquire(blocking=False):
        log.warning("the last pass over the numbered streams is not over: a broker answers slowly, or not")
        return False
    threading.Thread(target=_in_thread, args=(_pass,), name="outbox-sequences", daemon=True).start()
    return True


def go_on_if_overdue() -> bool:
    """Make a pass if a stream is due and nobody has for thirty seconds; tell whether it was us."""
    if not _due().exists() or not must_take_over(HEARTBEAT, after=OVERDUE, turn=TAKEOVER):
        return False
    return go_on()


def _in_thread(at_work: _Pass) -> None:
    try:
        make_pass()
    except Exception:
        # The streams stay due, or are so again in a moment.
        log.exception("a pass over the numbered streams failed")
    finally:
        at_work.at_work.release()
        connections[conf().database].close()


def make_pass() -> int:
    """Do for each stream that is due what there is to do; return how many those were."""
    until, done = monotonic() + BUDGET.total_seconds(), 0
    settle_sent()
    while monotonic() < until and (stream := _claim()) is not None:
        _tell(stream)
        done += 1
    Heartbeat.objects.record(HEARTBEAT, streams=done)
    return done


def settle_sent() -> int:
    """Note which numbers the brokers have confirmed; return how many.

    Where the stream has ended it is noted a while later: until then the stream is not over, and is told of.
    """
    goes_on = SequenceStream.objects.filter(pk=OuterRef("stream_id"), is_current=True)
    over = _confirmed().filter(finished_at__lt=Now() - _ended_for())
    sent = SequenceNumber.objects.open().filter(Exists(_confirmed()), Exists(goes_on) | Exists(over))
    return sent.update(state=NumberState.SENT, settled_at=Now())


def _confirmed() -> MessageQuerySet:
    """Keep the message of a number if it was sent."""
    return Message.objects.filter(pk=OuterRef("message_id"), status=Status.SUCCESS, resolution="")


def _ended_for() -> timedelta:
    # Before the message is removed: without it, its number would be said never to come.
    return min(ENDED_FOR, conf().keep_finished / 2)


def _due() -> SequenceStreamQuerySet:
    """Keep the streams that go on, and those that have ended not long ago, when their next heartbeat is due."""
    unsettled = SequenceNumber.objects.open().filter(stream=OuterRef("pk"))
    tail = SequenceNumber.objects.filter(stream=OuterRef("pk"), number__gt=OuterRef("given") - TAIL)
    just_sent = tail.filter(settled_at__gt=Now() - _ended_for())
    rows = SequenceStream.objects.filter(due_at__lte=Now())
    return rows.filter(Q(is_current=True) | Exists(unsettled) | Exists(just_sent))


def _claim() -> SequenceStream | None:
    """Take the stream that is due the longest, so that nobody else tells of it at this moment."""
    with transaction.atomic(using=conf().database):
        stream = _due().select_for_update(skip_locked=True).order_by("due_at", "pk").first()
        if stream is None:
            return None
        SequenceStream.objects.filter(pk=stream.pk).update(due_at=Now() + conf().sequence_heartbeat)
        origin = numbering.origin_of_database()
        if stream.is_current and stream.origin != origin:
            log.warning("%s: another database has taken over, its numbers begin anew", stream)
            numbering.begin_anew(stream, origin)
        return stream


def _tell(stream: SequenceStream) -> None:
    """Send the voids of a stream and then its heartbeat, which holds for what was said before."""
    entry = registry.get(stream.forward)
    if entry is None:
        # Other code may know it: it is just being deployed, or was renamed.
        _note(stream, "the running code has no forward of this name")
        _end_if_gone(stream)
        return
    if not isinstance(entry.relay, Forward) or not entry.relay.sequence:
        if SequenceStream.objects.filter(pk=stream.pk, is_current=True).update(is_current=False):
            log.warning("%s: the forward is no sequence any more, its numbers end", stream)
        return
    relay = entry.relay
    voids = _never_to_come(stream)
    error = _send(relay, stream, [Parcel(void_of(stream, number), stream.routing_key) for _id, number in voids])
    if error is None:
        said = SequenceNumber.objects.open().filter(pk__in=[id for id, _number in voids])
        said.update(state=NumberState.VOID, settled_at=Now())
        error = _send(relay, stream, [_heartbeat(stream)])
    _note(stream, "" if error is None else str(error)[:1000])


def _end_if_gone(stream: SequenceStream) -> None:
    """End a stream whose forward is not in the code for so long that it was taken out; back again, it begins anew."""
    long_ago = Now() - conf().gone_after
    last = Q(said_at__lt=long_ago) | Q(said_at__isnull=True, since__lt=long_ago)
    SequenceStream.objects.filter(last, pk=stream.pk, is_current=True).update(is_current=False)


def _never_to_come(stream: SequenceStream) -> list[tuple[int, int]]:
    """Return message and number of what was closed without being sent, or was removed."""
    message = Message.objects.filter(pk=OuterRef("message_id"))
    closed = message.filter(finished_at__isnull=False, exhausted_at__isnull=True).exclude(
        status=Status.SUCCESS, resolution=""
    )
    rows = SequenceNumber.objects.open().filter(Exists(closed) | ~Exists(message), stream=stream)
    return list(rows.order_by("number").values_list("pk", "number")[:VOIDS])


def _heartbeat(stream: SequenceStream) -> Parcel:
    """Return the heartbeat. The highest number is read first: what is given later is not spoken of."""
    given = SequenceStream.objects.values_list("given", flat=True).get(pk=stream.pk)
    failed = Message.objects.filter(pk=OuterRef("message_id"), exhausted_at__isnull=False)
    rows = SequenceNumber.objects.open().filter(~Exists(_confirmed()), stream=stream, number__lte=given)
    named = list(rows.annotate(failed=Exists(failed)).order_by("number").values_list("number", "failed")[:NUMBERS])
    given = named[-1][0] if len(named) == NUMBERS else given
    open, waiting, given = read_open(named, given)
    return Parcel(heartbeat_of(stream, given, open, waiting), stream.routing_key)


def read_open(rows: Iterable[tuple[int, bool]], given: int) -> tuple[list[Pair], list[Pair], int]:
    """Return the ranges of open numbers and of failed ones, and up to which number they tell all.

    ``rows`` has the open numbers up to ``given`` in rising order, each with whether its message has failed.
    """
    pairs: dict[bool, list[Pair]] = {False: [], True: []}
    for number, failed in rows:
        mine = pairs[failed]
        if mine and mine[-1][1] == number - 1:
            mine[-1] = (mine[-1][0], number)
        elif len(pairs[False]) + len(pairs[True]) < RANGES:
            mine.append((number, number))
        else:
            return pairs[False], pairs[True], number - 1
    return pairs[False], pairs[True], given


def _send(relay: Forward, stream: SequenceStream, parcels: Sequence[Parcel]) -> BaseException | None:
    """Send notices; return what is wrong. Where no queue is bound, there is nobody to tell."""
    if not parcels:
        return None
    errors = relay.publish(parcels, until=monotonic() + SENDING.total_seconds())
    wrong = next((error for error in errors if error is not None and not isinstance(error, Unroutable)), None)
    if wrong is not None:
        log.warning("%s: its notices were not sent: %s", stream, wrong)
    return wrong


def _note(stream: SequenceStream, error: str) -> None:
    changes = {"error": error} if error else {"error": "", "said_at": Now()}
    SequenceStream.objects.filter(pk=stream.pk).update(**changes)
