"""What is removed of bulk operations: previews that nobody started, and the items of what ended long ago."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.models import BulkConsumer, BulkItem, BulkOperation, BulkRehearsal
from outbox.models.bulk import ENDED, BulkState

DRAFTS_KEPT = timedelta(days=1)
ITEM_BATCH = 20_000
"""Items removed by one transaction at most."""


def prune(*, batches: int = 10) -> int:
    """Remove what is old, in at most so many batches, and return how many items went. The operations stay."""
    removed = 0
    for _batch in range(batches):
        with transaction.atomic(using=conf().database):
            operation = _find_old()
            if operation is None:
                return removed
            removed += _remove_some(operation)
    return removed


def _find_old() -> BulkOperation | None:
    """Return an operation whose items can go, locked. A preview that is being rehearsed stays until that is over."""
    rehearsed = BulkRehearsal.objects.going_on().filter(operation=OuterRef("pk"))
    drafts = Q(~Exists(rehearsed), state=BulkState.DRAFT, created_at__lt=Now() - DRAFTS_KEPT)
    ended = Q(state__in=ENDED, ended_at__lt=Now() - conf().keep_items)
    old = BulkOperation.objects.filter(drafts | ended, items_pruned_at__isnull=True).order_by("pk")
    return old.select_for_update(skip_locked=True, no_key=True).first()


def _remove_some(operation: BulkOperation) -> int:
    items = BulkItem.objects.of(operation).order_by("pk")
    ids = list(items.values_list("pk", flat=True)[:ITEM_BATCH])
    if ids:
        BulkItem.objects.filter(pk__gte=ids[0], pk__lte=ids[-1], operation=operation)._raw_delete(conf().database)
    if len(ids) == ITEM_BATCH:
        return len(ids)
    if operation.state == BulkState.DRAFT:
        BulkRehearsal.objects.filter(operation=operation)._raw_delete(conf().database)
        BulkConsumer.objects.filter(operation=operation)._raw_delete(conf().database)
        BulkOperation.objects.filter(pk=operation.pk)._raw_delete(conf().database)
    else:
        BulkOperation.objects.filter(pk=operation.pk).update(items_pruned_at=Now())
    return len(ids)
