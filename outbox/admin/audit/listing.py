"""The audit in pages: by keyset, the newest entries first, all of them.

No page looks through more than ``ENTRIES_READ`` entries of an index, however rare what it looks for is. Where a page
stops for that reason it says so, and its "older" goes on from there.
"""

from django.db.models import Q

from outbox.admin.audit.filters import Filters
from outbox.admin.keyset import Turned, Walk
from outbox.models import AuditEntry
from outbox.models.audit import AuditEntryQuerySet

ENTRIES_PER_PAGE = 50
ENTRIES_READ = 10_000


def read_page(filters: Filters, *, after: str = "", before: str = "") -> Turned[AuditEntry]:
    """Return the page that follows the entry ``after``, or the one that ends before the entry ``before``."""
    bounds = filters.bounds()
    if bounds is None:
        return Turned([])
    rows, kept = filters.streams()
    walk = Walk(
        streams=[rows.filter(_within(*bounds))],
        order=("-id",),
        kept=kept,
        read=lambda streams: [entry for stream in streams for entry in stream],
        place=lambda entry: (entry.pk,),
        per_page=ENTRIES_PER_PAGE,
        most=ENTRIES_READ,
    )
    return walk.page(after=after, before=before)


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
