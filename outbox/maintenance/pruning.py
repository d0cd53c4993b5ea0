"""Keeping the tables small: what is settled and old is pruned, in small batches, by one pruner at a time.

Of messages only what is settled goes: successes, and what a person has closed. The unfinished and the exhausted stay,
however old. With a message goes its place in the unique index, so ``KEEP_FINISHED`` is also how long the same topic and
key is known to have been published.

| table | how long |
|---|---|
| messages, and with them their attempts | ``KEEP_FINISHED`` after they were settled; not what a host's PROTECT keeps,
and not what a book has not balanced |
| failure groups, with their counts | ``KEEP_STATS`` after the last; not what is seen to, stuck or merged |
| their failures by the hour | a day |
| alarms that are over and could not be told | ``KEEP_STATS`` |
| figures per minute | ``KEEP_STATS``, by ``rollup``; the totals stay |
| previews of bulk operations; items of those that ended | a day; ``KEEP_ITEMS``. The operations stay |
| the audit | ``KEEP_AUDIT``, for ever unless it is set |
| ids that were taken in | ``KEEP_RECEIVED`` |
| quarantined messages that a person has settled | ``KEEP_FINISHED`` |
| answers to calls of the API that had a key | a day. The tokens stay |
| numbers of what was sent, and gaps that were closed | ``KEEP_FINISHED`` after they were settled |
| streams that are watched | ``KEEP_RECEIVED`` after the last came, if no number is missed |
| half messages, and what their checks said | ``KEEP_FINISHED`` after they were settled |
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connections, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from outbox import audit
from outbox.books import holding
from outbox.bulk import pruning as bulk_pruning
from outbox.conf import FOR_EVER, conf
from outbox.maintenance import removal
from outbox.memory import Memory
from outbox.models import (
    Alert,
    ApiAnswer,
    Attempt,
    AwaitedReceipt,
    Evidence,
    Exchange,
    FailureCount,
    FailureGroup,
    FailureHour,
    Gap,
    Half,
    HalfAnswer,
    Heartbeat,
    InHand,
    Message,
    Note,
    PayloadVersion,
    Places,
    Quarantined,
    SequenceNumber,
    TakenId,
    WatchedStream,
)
from outbox.models.api import ANSWERS_KEPT
from outbox.models.failure import HOURS_KEPT, ThisHour
from outbox.models.queryset import MessageQuerySet
from outbox.monitoring.chain import read_check
from outbox.monitoring.planned import must_take_over

log = logging.getLogger("outbox.pruning")

PRUNE_HEARTBEAT = "prune"
TAKEOVER = "prune by a worker"
OVERDUE = timedelta(minutes=2)
"""Age of the last success at which workers prune themselves."""
COVER_BUDGET = timedelta(seconds=1)
"""How long a worker prunes at once; it has other work to do."""
MESSAGE_BATCH = 1000
"""Messages deleted by one transaction at most; larger ones hold up those who write."""
SMALL_TABLES = "prune small tables"
SMALL_TABLES_EVERY = timedelta(minutes=1)
"""How often the smaller tables are pruned, which grow by what people do and by kinds, not by messages."""
LOST_PLACES = timedelta(hours=1)
"""How long it is kept what a process has said of its places that was killed."""
HALVES_BATCH = 20_000
"""Half messages removed by one pass at most, which is one a minute."""
LEFT_IN_HAND = timedelta(days=7)
"""How long it is kept over which redelivered message a receiver has ended."""
ID_BATCH = 20_000
"""Ids forgotten by one statement at most."""
ID_BATCHES = 25
"""Statements of these in a pass, which is once a minute: 500,000 ids, more than come in."""
GROUP_BATCH = 100
"""Failure groups forgotten by one pass at most."""
REFUSED_AGAIN = timedelta(hours=1)
"""How long a process leaves alone what could not be deleted."""
HANGING = (Attempt, AwaitedReceipt, Evidence, Exchange, Note, PayloadVersion)
"""What goes with its message."""
REST_SHARE = 1.0
"""Rest between two batches, as a share of what the last one took, so that pruning has half of the time at most."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many messages went, whether there are more to go, and how many rows of the host's own protect for now."""

    messages: int
    more: bool
    protected: int = 0


@dataclass(frozen=True, slots=True)
class _Batch:
    """How many messages were looked at, and those that were refused."""

    looked_at: int
    refused: list[int]


@dataclass
class _Refused:
    """Messages that could not be deleted, and when that was, so that each pass need not try them again."""

    ids: set[int] = field(default_factory=set)
    since: float = field(default_factory=time.monotonic)


refused_before = Memory(_Refused)


def prune(*, budget: timedelta = timedelta(seconds=3)) -> Pruned:
    """Delete what finished longer ago than ``KEEP_FINISHED``, for at most ``budget``; their attempts go with them.

    What a host's own rows protect is kept and counted. Returns at once if another pruner is at work.
    """
    until = time.monotonic() + budget.total_seconds()
    Heartbeat.objects.get_or_create(name=PRUNE_HEARTBEAT)
    if Heartbeat.objects.claim(SMALL_TABLES, every=SMALL_TABLES_EVERY):
        _prune_small_tables()
    if time.monotonic() - refused_before.value.since > REFUSED_AGAIN.total_seconds():
        refused_before.value.ids.clear()
        refused_before.value.since = time.monotonic()
    total = 0
    while True:
        began = time.monotonic()
        batch = _prune_batch()
        if batch is None:
            return Pruned(total, more=True)
        refused_before.value.ids.update(batch.refused)
        total += batch.looked_at - len(batch.refused)
        if batch.looked_at < MESSAGE_BATCH:
            return _recorded(total, more=False)
        took = time.monotonic() - began
        if time.monotonic() + took * REST_SHARE >= until:
            return _recorded(total, more=True)
        time.sleep(took * REST_SHARE)


def prune_if_overdue() -> bool:
    """Prune if nobody has for two minutes; tell whether it was us. How workers cover for a dead beat."""
    if not must_take_over(PRUNE_HEARTBEAT, after=OVERDUE, turn=TAKEOVER):
        return False
    prune(budget=COVER_BUDGET)
    return True


def _recorded(total: int, *, more: bool) -> Pruned:
    """Note the success, and say which messages are kept for the host's own rows."""
    kept = len(refused_before.value.ids) + _count_protected()
    Heartbeat.objects.record(PRUNE_HEARTBEAT, messages=total, **({"protected": kept} if kept else {}))
    if kept:
        log.warning("%d old messages are kept, as rows of other apps protect them", kept)
    return Pruned(total, more=more, protected=kept)


def _count_protected() -> int:
    """Count the old messages that a host's PROTECT keeps, as far as it is worth it."""
    is_protected = removal.protected(Message)
    if is_protected is None:
        return 0
    return len(_old().filter(is_protected).values_list("pk")[:MESSAGE_BATCH])


def _old() -> MessageQuerySet:
    settled = Message.objects.prunable(older_than=conf().keep_finished).exclude(pk__in=refused_before.value.ids)
    return holding.without_held(settled)


def _prune_batch() -> _Batch | None:
    """Delete one batch, oldest first, and return what became of it; None if somebody else is pruning."""
    is_protected = removal.protected(Message)
    with transaction.atomic(using=conf().database):
        if not list(Heartbeat.objects.select_for_update(skip_locked=True).filter(name=PRUNE_HEARTBEAT)):
            return None
        settled = _old() if is_protected is None else _old().filter(~is_protected)
        locked = settled.select_for_update(skip_locked=True)
        ids = list(locked.values_list("pk", flat=True)[:MESSAGE_BATCH])
        refused = _remove_messages(ids)
    if ids:
        log.info("pruned %d messages", len(ids) - len(refused))
    return _Batch(len(ids), refused)


def _remove_messages(ids: Sequence[int]) -> list[int]:
    """Delete the messages with what hangs on them; return those that were refused."""
    if removal.host_relations(Message, *HANGING):
        return removal.remove_by_rules(Message.objects.all(), ids)
    # Not delete(): that reads every row first, payload included, to look for what hangs on it.
    _remove_hanging(ids)
    Message.objects.filter(pk__in=ids)._raw_delete(conf().database)
    return []


def _remove_hanging(ids: Sequence[int]) -> None:
    """Delete what hangs on these messages, from all tables by one statement where the database has such."""
    connection = connections[conf().database]
    if connection.vendor != "postgresql":
        for model in HANGING:
            model._default_manager.filter(message_id__in=ids)._raw_delete(connection.alias)
        return
    tables = [model._meta.db_table for model in HANGING]
    deletes = [f"of_{table} AS (DELETE FROM {table} WHERE message_id = ANY(%s))" for table in tables]  # noqa: S608
    params: list[Any] = [list(ids)] * len(tables)
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {', '.join(deletes)} SELECT 1", params)


def _prune_small_tables() -> None:
    keep = conf().keep_stats
    alerts, _by_model = Alert.objects.resolved(after=keep).delete()
    groups = _prune_failure_groups(keep)
    bulk_pruning.prune()
    FailureHour.objects.filter(hour__lte=ThisHour() - HOURS_KEPT)._raw_delete(conf().database)
    Places.objects.filter(at__lt=Now() - LOST_PLACES).delete()
    ApiAnswer.objects.filter(at__lt=Now() - ANSWERS_KEPT).delete()
    _prune_halves()
    _prune_received()
    _prune_numbers()
    entries = _prune_audit()
    if alerts or groups or entries:
        log.info("pruned %d alarms, %d failure groups, %d audit entries", alerts, groups, entries)


def _prune_halves() -> None:
    """Remove half messages that were settled long ago, some thousands a minute at most."""
    ids = list(Half.objects.settled_before(conf().keep_finished).values_list("pk", flat=True)[:HALVES_BATCH])
    if removal.host_relations(Half, HalfAnswer):
        removal.remove_by_rules(Half.objects.all(), ids)
        return
    HalfAnswer.objects.filter(half__in=ids)._raw_delete(conf().database)
    Half.objects.filter(pk__in=ids)._raw_delete(conf().database)


def _prune_received() -> None:
    """Forget what was taken in too long ago to be delivered again, as many ids a minute as come in it and more."""
    known = TakenId.objects.prunable(older_than=conf().keep_received).order_by("at")
    for _ in range(ID_BATCHES):
        forgotten = list(known.values_list("pk", flat=True)[:ID_BATCH])
        TakenId.objects.filter(pk__in=forgotten)._raw_delete(conf().database)
        if len(forgotten) < ID_BATCH:
            break
    Quarantined.objects.prunable(older_than=conf().keep_finished)._raw_delete(conf().database)
    InHand.objects.filter(at__lt=Now() - LEFT_IN_HAND)._raw_delete(conf().database)


def _prune_numbers() -> None:
    """Forget numbers that were settled long ago, gaps that were closed, and streams of which nothing comes any more."""
    old = SequenceNumber.objects.prunable(older_than=conf().keep_finished).order_by("settled_at")
    for _ in range(ID_BATCHES):
        forgotten = list(old.values_list("pk", flat=True)[:ID_BATCH])
        SequenceNumber.objects.filter(pk__in=forgotten)._raw_delete(conf().database)
        if len(forgotten) < ID_BATCH:
            break
    Gap.objects.prunable(older_than=conf().keep_finished)._raw_delete(conf().database)
    WatchedStream.objects.prunable(older_than=conf().keep_received).delete()


def _prune_audit() -> int:
    """Remove the oldest entries, unless the chain breaks: then they are what happened is found out by."""
    if conf().keep_audit == FOR_EVER or read_check().broken:
        return 0
    return audit.prune_entries(older_than=conf().keep_audit)


def _prune_failure_groups(keep: timedelta) -> int:
    """Forget failure groups that have not happened for ``keep``, if nobody is at them and nothing is stuck."""
    happened = FailureCount.objects.filter(group=OuterRef("pk"), last_at__gte=Now() - keep)
    stuck = Message.objects.exhausted().filter(consumer=OuterRef("consumer"), failure=OuterRef("pk"))
    nobody_is_at = FailureGroup.objects.filter(owner="", ticket="", note="", first_at__lt=Now() - keep)
    members = FailureGroup.objects.filter(merged_into=OuterRef("pk"))
    resolved = nobody_is_at.filter(~Exists(happened), ~Exists(stuck), ~Exists(members)).order_by("first_at")
    with transaction.atomic(using=conf().database):
        ids = list(resolved.select_for_update(skip_locked=True).values_list("pk", flat=True)[:GROUP_BATCH])
        if removal.host_relations(FailureGroup, FailureCount, FailureHour):
            return len(ids) - len(removal.remove_by_rules(FailureGroup.objects.all(), ids))
        for counted in (FailureCount, FailureHour):
            counted._default_manager.filter(group__in=ids)._raw_delete(conf().database)
        FailureGroup.objects.filter(pk__in=ids)._raw_delete(conf().database)
    return len(ids)
