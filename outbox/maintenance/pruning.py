"""Keeping the tables small: what is settled and old is pruned, in small batches, by one pruner at a time.

Of messages only what is settled goes: successes, and what a person has closed. The unfinished and the exhausted stay,
however old. With a message goes its place in the unique index, so ``KEEP_FINISHED`` is also how long the same topic and
key is known to have been published.

| table | how long |
|---|---|
| messages, and with them their attempts | ``KEEP_FINISHED`` after they were settled |
| kinds of failure, with their counts | ``KEEP_STATS`` after the last; not what somebody is at, or is stuck |
| alarms that are over and could not be told | ``KEEP_STATS`` |
| figures per minute | ``KEEP_STATS``, by ``rollup``; the totals stay |
| the audit | ``KEEP_AUDIT``, for ever unless it is set |
"""

import logging
import time
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from outbox import audit
from outbox.conf import FOR_EVER, conf
from outbox.models import Alert, Attempt, FailureCount, FailureGroup, Heartbeat, Message
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
GROUP_BATCH = 100
"""Kinds of failure forgotten by one pass at most."""
REST_SHARE = 1.0
"""Rest between two batches, as a share of what the last one took, so that pruning has half of the time at most."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many messages went, and whether there are more to go."""

    messages: int
    more: bool


def prune(*, budget: timedelta = timedelta(seconds=3)) -> Pruned:
    """Delete what finished longer ago than ``KEEP_FINISHED``, for at most ``budget``; their attempts go with them.

    Returns at once if another pruner is at work.
    """
    until = time.monotonic() + budget.total_seconds()
    Heartbeat.objects.get_or_create(name=PRUNE_HEARTBEAT)
    if Heartbeat.objects.claim(SMALL_TABLES, every=SMALL_TABLES_EVERY):
        _prune_small_tables()
    total = 0
    while True:
        began = time.monotonic()
        batch = _prune_batch()
        if batch is None:
            return Pruned(total, more=True)
        total += batch
        if batch < MESSAGE_BATCH:
            Heartbeat.objects.record(PRUNE_HEARTBEAT, messages=total)
            return Pruned(total, more=False)
        took = time.monotonic() - began
        if time.monotonic() + took * REST_SHARE >= until:
            Heartbeat.objects.record(PRUNE_HEARTBEAT, messages=total)
            return Pruned(total, more=True)
        time.sleep(took * REST_SHARE)


def prune_if_overdue() -> bool:
    """Prune if nobody has for two minutes; tell whether it was us. How workers cover for a dead beat."""
    if not must_take_over(PRUNE_HEARTBEAT, after=OVERDUE, turn=TAKEOVER):
        return False
    prune(budget=COVER_BUDGET)
    return True


def _prune_batch() -> int | None:
    """Delete one batch, oldest first, and return its size; None if somebody else is pruning."""
    with transaction.atomic(using=conf().database):
        if not list(Heartbeat.objects.select_for_update(skip_locked=True).filter(name=PRUNE_HEARTBEAT)):
            return None
        settled = Message.objects.prunable(older_than=conf().keep_finished).select_for_update(skip_locked=True)
        ids = list(settled.values_list("pk", flat=True)[:MESSAGE_BATCH])
        # Not delete(): that reads every row first, payload included, to look for what hangs on it.
        for rows in (Attempt.objects.filter(message_id__in=ids), Message.objects.filter(pk__in=ids)):
            rows._raw_delete(conf().database)
    if ids:
        log.info("pruned %d messages", len(ids))
    return len(ids)


def _prune_small_tables() -> None:
    keep = conf().keep_stats
    alerts, _by_model = Alert.objects.resolved(after=keep).delete()
    groups = _prune_failure_groups(keep)
    entries = 0 if conf().keep_audit == FOR_EVER else audit.prune_entries(older_than=conf().keep_audit)
    if alerts or groups or entries:
        log.info("pruned %d alarms, %d kinds of failure, %d audit entries", alerts, groups, entries)


def _prune_failure_groups(keep: timedelta) -> int:
    """Forget kinds of failure that have not happened for ``keep``, if nobody is at them and nothing is stuck."""
    happened = FailureCount.objects.filter(group=OuterRef("pk"), last_at__gte=Now() - keep)
    stuck = Message.objects.exhausted().filter(consumer=OuterRef("consumer"), failure=OuterRef("pk"))
    nobody_is_at = FailureGroup.objects.filter(owner="", ticket="", note="", first_at__lt=Now() - keep)
    resolved = nobody_is_at.filter(~Exists(happened), ~Exists(stuck)).order_by("first_at")
    with transaction.atomic(using=conf().database):
        ids = list(resolved.select_for_update(skip_locked=True).values_list("pk", flat=True)[:GROUP_BATCH])
        FailureCount.objects.filter(group__in=ids)._raw_delete(conf().database)
        FailureGroup.objects.filter(pk__in=ids)._raw_delete(conf().database)
    return len(ids)
