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
from outbox.admin.messages.tabs import TABS, Scope, Tab, stuck
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
    """The counts by tab, what failed by failure group, and the consumers that have anything unfinished."""

    by_tab: Mapping[str, BoundedCount]
    groups: Sequence[FailedGroup]
    waiting: Sequence[str]


def count_new(scope: Scope, since: datetime | None) -> BoundedCount:
    """Count what was given up since then, of what the queue of failures shows."""
    rows = stuck(scope)[0].order_by("exhausted_at").values("pk")
    return capped((rows.filter(exhausted_at__gt=since) if since else rows)[:CAP].count())


def count_within(tab: Tab, scope: Scope) -> BoundedCount:
    """Count what a tab has of the span that is looked at, among the rows that are looked at."""
    counted = count_beside([_looked_at(tab, scope, stream) for stream in tab.streams(scope)], "kept")
    kept = sum(each for _looked_at, each in counted)
    return BoundedCount(min(kept, ROWS_COUNTED), more=any(looked_at > ROWS_COUNTED for looked_at, _kept in counted))


def count_tabs(scope: Scope) -> TabCounts:
    """Count every tab within the scope; the failure group is of what failed alone."""
    names = [scope.consumer] if scope.consumer else []
    backlogs = measure_backlogs(names, cap=CAP, others=not scope.consumer)
    groups = [group for each in backlogs.values() for group in each.groups]
    bounded = _count_bounded(backlogs, scope)
    unbounded = _count_unbounded([tab for tab in TABS if tab.slug not in BOUNDED], replace(scope, failure=""))
    # Of the newest of all messages few may be a consumer's, which is known to have more.
    known = _count_bounded(backlogs, replace(scope, failure=""))
    unbounded["all"] = _at_least(unbounded["all"], sum(count.counted for count in known.values()))
    waiting = [name for name, each in backlogs.items() if each.pending + each.started]
    return TabCounts({**bounded, **unbounded}, groups, waiting)


def _count_bounded(backlogs: Mapping[str, Backlog], scope: Scope) -> dict[str, BoundedCount]:
    """Return the counts of what is unfinished or stuck; each consumer is counted up to ``CAP``."""
    failed = [
        sum(group.messages for group in each.groups if scope.failure in ("", group.failure))
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


def _count_unbounded(tabs: Sequence[Tab], scope: Scope) -> dict[str, BoundedCount]:
    """Look at no more than ``ROWS_COUNTED`` + 1 rows of each tab, and count those that are kept."""
    counted = count_beside([_looked_at(tab, scope, *tab.streams(scope)) for tab in tabs], "kept")
    return {
        tab.slug: BoundedCount(min(kept, ROWS_COUNTED), more=looked_at > ROWS_COUNTED)
        for tab, (looked_at, kept) in zip(tabs, counted, strict=True)
    }


def _looked_at(tab: Tab, scope: Scope, stream: MessageQuerySet) -> QuerySet[Message, Any]:
    """Return the rows of a tab's stream that are looked at, with a 1 for those it keeps."""
    kept = tab.kept(scope)
    one = Case(When(kept, then=Value(1)), output_field=IntegerField()) if kept else Value(1)  # the index alone is read
    return stream.order_by(*tab.order).annotate(kept=one).values("kept")[: ROWS_COUNTED + 1]


def _at_least(count: BoundedCount, known: int) -> BoundedCount:
    """Return a count that is told to be at least ``known``."""
    return replace(count, counted=max(count.counted, known)) if count.more else count
