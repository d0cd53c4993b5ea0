"""How many messages each tab has: exact where their number has bounds, and "more than 10,000" for all that was.

Two statements for all tabs: what is unfinished or stuck is counted by consumer and failure group, of everything else
the newest rows are looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Case, IntegerField, QuerySet, Value, When

from outbox.admin.counts import BoundedCount, capped
from outbox.admin.messages.tabs import FAILED, TABS, Scope, Tab
from outbox.models import Message
from outbox.models.queryset import MessageQuerySet
from outbox.models.sql.backlog import Backlog, FailedGroup, measure_backlogs
from outbox.models.sql.beside import count_beside
from outbox.monitoring.measurements import CAP

ROWS_COUNTED = 10_000
"""Rows looked at of a tab that may have any number of them."""
BOUNDED = ("failed", "pending", "started")
"""The tabs that are counted to the end."""


@dataclass(frozen=True, slots=True)
class TabCounts:
    """The counts by tab, what failed by failure group, and the consumers that have anything unfinished.

    ``within`` is the count of the tab that is shown within what it is narrowed down to beside.
    """

    by_tab: Mapping[str, BoundedCount]
    groups: Sequence[FailedGroup]
    waiting: Sequence[str]
    within: BoundedCount | None = None


def count_new(scope: Scope, since: datetime | None) -> BoundedCount:
    """Count what was given up since then, of what the queue of failures shows."""
    rows_shown = [rows.filter(FAILED.kept(scope)) for rows in FAILED.rows(scope)]
    streams = [rows.order_by("exhausted_at").annotate(one=Value(1)).values("one") for rows in rows_shown]
    since_then = [(rows.filter(exhausted_at__gt=since) if since else rows)[:CAP] for rows in streams]
    return capped(sum(counted for counted, _ones in count_beside(since_then, "one")))


def count_tabs(scope: Scope, *, shown: Tab = FAILED, narrowed: Scope | None = None) -> TabCounts:
    """Count every tab within the scope; the failure group is of what failed alone.

    ``narrowed`` is what the tab that is ``shown`` is narrowed down to beside: a span, an owner, a part of the error.
    """
    names = [scope.consumer] if scope.consumer else []
    backlogs = measure_backlogs(names, cap=CAP, others=not scope.consumer)
    groups = [group for each in backlogs.values() for group in each.groups]
    waiting = [name for name, each in backlogs.items() if each.pending + each.started]
    bounded = _count_bounded(backlogs, scope)
    everything = replace(scope, failures=())
    unbounded = [tab for tab in TABS if tab.slug not in BOUNDED]
    looked_at = [_looked_at(tab, everything, *tab.streams(everything)) for tab in unbounded]
    if narrowed is not None:
        within = replace(narrowed, waiting=waiting)
        looked_at += [_looked_at(shown, within, stream) for stream in shown.rows(within)]
    counted = count_beside(looked_at, "kept")
    by_tab = {
        tab.slug: BoundedCount(min(kept, ROWS_COUNTED), more=seen > ROWS_COUNTED)
        for tab, (seen, kept) in zip(unbounded, counted, strict=False)
    }
    # Of the newest of all messages few may be a consumer's, which is known to have more.
    known = _count_bounded(backlogs, everything)
    by_tab["all"] = _at_least(by_tab["all"], sum(count.counted for count in known.values()))
    of_shown = None if narrowed is None else _count_within(counted[len(unbounded) :])
    return TabCounts({**bounded, **by_tab}, groups, waiting, of_shown)


def _count_within(counted: Sequence[tuple[int, int]]) -> BoundedCount:
    """Add up what each stream has of what it is narrowed down to, among the rows that are looked at."""
    kept = sum(each for _looked_at, each in counted)
    return BoundedCount(min(kept, ROWS_COUNTED), more=any(looked_at > ROWS_COUNTED for looked_at, _kept in counted))


def _count_bounded(backlogs: Mapping[str, Backlog], scope: Scope) -> dict[str, BoundedCount]:
    """Return the counts of what is unfinished or stuck; each consumer is counted up to ``CAP``."""
    failed = [
        sum(group.messages for group in each.groups if not scope.failures or group.failure in scope.failures)
        for each in backlogs.values()
    ]
    unfinished = [(each.pending, each.started, each.pending + each.started >= CAP) for each in backlogs.values()]
    return {
        "failed": _added([capped(count) for count in failed]),
        "pending": _added([BoundedCount(pending, more=more) for pending, _started, more in unfinished]),
        "started": _added([BoundedCount(started, more=more) for _pending, started, more in unfinished]),
    }


def _added(counts: Sequence[BoundedCount]) -> BoundedCount:
    return BoundedCount(sum(each.counted for each in counts), more=any(each.more for each in counts))


def _looked_at(tab: Tab, scope: Scope, stream: MessageQuerySet) -> QuerySet[Message, Any]:
    """Return the rows of a tab's stream that are looked at, with a 1 for those it keeps."""
    kept = tab.kept(scope)
    one = Case(When(kept, then=Value(1)), output_field=IntegerField()) if kept else Value(1)  # the index alone is read
    return stream.order_by(*tab.order).annotate(kept=one).values("kept")[: ROWS_COUNTED + 1]


def _at_least(count: BoundedCount, known: int) -> BoundedCount:
    """Return a count that is told to be at least ``known``."""
    return replace(count, counted=max(count.counted, known)) if count.more else count
