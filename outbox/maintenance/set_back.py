"""When the database's clock was set back: what was put off by the old clock is due by the new one.

All times are the database's, so that only a jump of its own clock does harm: for as long as it jumped, rows would wait
that were pushed a few seconds into the future, and leases would hold that nobody has. A heartbeat in the future tells
of the jump. How long something was to wait is kept: a delay counts from when it was written.
"""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import Case, DateTimeField, DurationField, ExpressionWrapper, F, OuterRef, Q, Subquery, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Greatest, Least, Now

from outbox import registry
from outbox.books.keeping import HELD
from outbox.conf import conf
from outbox.external.halves import check_backs
from outbox.external.halves.check_backs import LONGEST_CHECK, WAITS
from outbox.external.halves.preparing import LONGEST_WITHIN
from outbox.models import (
    Alert,
    BookState,
    BookWindow,
    ConsumerState,
    Half,
    HalfAnswer,
    HalfState,
    Heartbeat,
    Message,
    SequenceStream,
    Status,
)
from outbox.models.state import FUTURE
from outbox.policy import LONGEST_PROBE

log = logging.getLogger("outbox.rescan")

PUT_OFF = timedelta(seconds=30)
"""How far the rescan itself puts a row off, beside ``resend_after`` and ``grace``."""
BATCH = 1000
"""Rows mended by one transaction at most."""
SUCCEEDED_AT = timedelta(minutes=1)
"""How long ago a chore is taken to have succeeded whose heartbeat lay in the future: it may run at once."""

BOOK_TIMES = ("ran_at", "swept_at", "reread_at", "undeclared_since")
"""When something was done for a book."""
BOOK_READ = ("read_until", "changed_at")
"""Up to when a book was read."""
NOTICED_LATE = timedelta(minutes=15)
"""How long ago the clock may have been set back; what was written since then is not read yet."""


def mend_if_set_back() -> int:
    """Look whether the clock was set back; if so, mend what would wait for it, and return how many rows that were."""
    ahead = Heartbeat.objects.filter(at__gt=Now() + FUTURE)
    if not ahead.exists():
        return 0
    mended = _mend_messages()
    ConsumerState.objects.filter(probe_at__gt=Now() + LONGEST_PROBE + FUTURE).update(probe_at=Now())
    ConsumerState.objects.filter(gone_since__gt=Now()).update(gone_since=Now())
    SequenceStream.objects.filter(due_at__gt=Now() + conf().sequence_heartbeat + FUTURE).update(due_at=Now())
    for field in ("since", "seen_at", "notified_at"):
        Alert.objects.filter(**{f"{field}__gt": Now()}).update(**{field: Now()})
    Heartbeat.objects.filter(since__gt=Now()).update(since=Now())
    _mend_books()
    _mend_halves()
    # Last: as long as one lies in the future, the next pass looks again.
    ahead.update(at=Now() - SUCCEEDED_AT)
    log.warning("the database's clock was set back; %d rows that waited for the old time are due", mended)
    return mended


def _mend_messages() -> int:
    """Mend batch after batch; a row that a worker has locked is in good hands."""
    mended, last = 0, 0
    while True:
        with transaction.atomic(using=conf().database):
            rows = Message.objects.filter(_waits_for_the_old_clock(), pk__gt=last).unfinished().order_by("pk")
            ids = list(rows.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True)[:BATCH])
            batch = Message.objects.filter(pk__in=ids)
            batch.filter(status=Status.PENDING).update(
                not_before=_not_before(), due_at=Least(F("due_at"), Greatest(_not_before(), Now()))
            )
            batch.filter(status=Status.STARTED).update(due_at=Least(F("due_at"), Now()), lease_until=_lease_until())
        mended += len(ids)
        if len(ids) < BATCH:
            return mended
        last = ids[-1]


def _waits_for_the_old_clock() -> Q:
    """Keep what was written in the future, or waits for longer than anything can that was written by now."""
    put_off = max(conf().resend_after, conf().grace, PUT_OFF)
    return (
        # What sleeps behind another of its ordering key is due at its deadline; its head wakes it.
        (Q(due_at__gt=Greatest(F("not_before"), Now()) + put_off) & ~Q(due_at=F("expires_at")))
        | Q(status=Status.STARTED, due_at__gt=Now() + put_off)
        | Q(lease_until__gt=Now() + _longest_lease())
        | Q(created_at__gt=Now())
        | Q(started_at__gt=Now())
        | Q(retried_at__gt=Now())
    )


def _not_before() -> Combinable:
    """Return when a pending row may be started: if its wait began in the future, as long from now as from then.

    The wait began when ``publish``, an attempt or a person wrote the row, whichever was last.
    """
    began = Greatest(
        F("created_at"), Coalesce(F("started_at"), F("created_at")), Coalesce(F("retried_at"), F("created_at"))
    )
    written_later = Q(created_at__gt=Now()) | Q(started_at__gt=Now()) | Q(retried_at__gt=Now())
    return Case(
        When(written_later, then=_from_now(F("not_before") - began)),
        default=F("not_before"),
        output_field=DateTimeField(),
    )


def _lease_until() -> Combinable:
    """Return until when a started row belongs to its worker: if that began in the future, as long from now."""
    return Case(
        When(started_at__gt=Now(), then=_from_now(F("lease_until") - F("started_at"))),
        default=Least(F("lease_until"), Now() + _longest_lease()),
        output_field=DateTimeField(),
    )


def _mend_books() -> None:
    """Have the books read again what is of the hours that come once more."""
    # The windows first: what the old clock has read is to be older than whatever is begun by the new one.
    BookWindow.objects.filter(read_at__gt=Now()).update(read_at=Now())
    for field in BOOK_TIMES:
        BookState.objects.filter(**{f"{field}__gt": Now()}).update(**{field: Now()})
    for field in BOOK_READ:
        BookState.objects.filter(**{f"{field}__gt": Now()}).update(**{field: Now() - NOTICED_LATE})
    BookState.objects.filter(round_at__gt=Now()).update(round_at=None, round_settled=None)
    BookState.objects.filter(held_until__gt=Now() + HELD).update(held_until=Now() + HELD)


def _mend_halves() -> None:
    """Have a check be asked as long from now as it was to be asked from when that was written."""
    last = HalfAnswer.objects.filter(half=OuterRef("pk")).order_by("-number")
    answered = Subquery(last.values(at_last=Coalesce("answered_at", "at"))[:1])
    halves = Half.objects.filter(state=HalfState.OPEN).alias(began=Coalesce("asked_at", answered, "prepared_at"))
    longest = max(WAITS.cap, LONGEST_CHECK, *(check.retry.cap for check in check_backs.all_checks()))
    too_far = Q(asked=0, check_at__gt=Now() + LONGEST_WITHIN) | Q(asked__gt=0, check_at__gt=Now() + longest)
    halves.filter(Q(began__gt=Now()) | too_far).update(
        check_at=Case(
            When(began__gt=Now(), then=_from_now(F("check_at") - F("began"))),
            default=Now(),
            output_field=DateTimeField(),
        )
    )


def _from_now(span: Combinable) -> Combinable:
    return ExpressionWrapper(
        Now() + ExpressionWrapper(span, output_field=DurationField()), output_field=DateTimeField()
    )


def _longest_lease() -> timedelta:
    """Return how far ahead a lease may reach: of all consumers the longest, and a redo's timeout, or a receipt's."""
    leases = (max(entry.lease + entry.time_limit, entry.receipt or entry.lease) for entry in registry.all_consumers())
    return max(leases, default=conf().lease)
