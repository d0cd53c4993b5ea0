"""The audit in pages: by keyset, the newest entries first, all of them.

No page looks through more than ``ENTRIES_READ`` entries of an index, however rare what it looks for is. Where a page
stops for that reason it says so, and its "older" goes on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q

from outbox.admin.audit.filters import Filters
from outbox.models import AuditEntry
from outbox.models.audit import AuditEntryQuerySet
from outbox.models.row_ids import read_id

ENTRIES_PER_PAGE = 50
ENTRIES_READ = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, where the pages before and after begin, and whether looking stopped too soon."""

    entries: Sequence[AuditEntry] = ()
    newer: str = ""
    older: str = ""
    cut_short: bool = False


def read_page(filters: Filters, *, after: str = "", before: str = "") -> Page:
    """Return the page that follows the entry ``after``, or the one that ends before the entry ``before``."""
    bounds = filters.bounds()
    if bounds is None:
        return Page()
    rows, kept = filters.streams()
    rows = rows.filter(_within(*bounds))
    start = read_id(before or after)
    if before and start is not None:
        found, stopped = _walk(rows, kept, start, backwards=True)
        if len(found) > ENTRIES_PER_PAGE or stopped:
            shown = found[:ENTRIES_PER_PAGE][::-1]
            newer = str(shown[0].pk) if len(found) > ENTRIES_PER_PAGE else stopped
            return Page(shown, newer, str(shown[-1].pk) if shown else before, cut_short=bool(stopped))
        start = None  # the beginning was reached: show a full first page
    found, stopped = _walk(rows, kept, start, backwards=False)
    shown = found[:ENTRIES_PER_PAGE]
    newest = "" if start is None else str(shown[0].pk if shown else start)
    older = str(shown[-1].pk) if len(found) > ENTRIES_PER_PAGE else stopped
    return Page(shown, newest, older, cut_short=bool(stopped))


def every_entry(filters: Filters) -> AuditEntryQuerySet:
    """Return all entries that the audit is narrowed down to, the newest first."""
    bounds = filters.bounds()
    if bounds is None:
        return AuditEntry.objects.none()
    rows, kept = filters.streams()
    return rows.filter(_within(*bounds), kept).order_by("-pk")


def _within(low: int | None, high: int | None) -> Q:
    within = Q() if low is None else Q(pk__gte=low)
    return within if high is None else within & Q(pk__lte=high)


def _walk(rows: AuditEntryQuerySet, kept: Q, start: int | None, *, backwards: bool) -> tuple[Sequence[AuditEntry], str]:
    """Return a page's entries, and one more, from ``start`` on, and the id at which looking stopped early."""
    order = "pk" if backwards else "-pk"
    if start is not None:
        rows = rows.filter(Q(pk__gt=start) if backwards else Q(pk__lt=start))
    end = None
    if kept:
        end = rows.order_by(order).values_list("pk", flat=True)[ENTRIES_READ : ENTRIES_READ + 1].first()
        if end is not None:
            rows = rows.filter(Q(pk__lte=end) if backwards else Q(pk__gte=end))
    found = list(rows.filter(kept).order_by(order)[: ENTRIES_PER_PAGE + 1])
    return found, str(end) if end is not None and len(found) <= ENTRIES_PER_PAGE else ""
