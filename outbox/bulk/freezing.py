"""Freezing a set: each message with its revision, by one statement, whatever their number."""

import hashlib
from collections.abc import Collection, Iterator, Mapping

from django.db import connections
from django.db.models import Case, CharField, Count, Exists, Max, Min, OuterRef, Q, Value, When

from outbox import registry
from outbox.bulk import business, preview
from outbox.bulk.selection import Kind, Selection
from outbox.conf import conf
from outbox.models import Attempt, BulkConsumer, BulkItem, BulkOperation, Evidence, Message, Status
from outbox.models.attempt import LEAVES_DOUBT
from outbox.models.bulk import BulkVerb, ItemResult, Why
from outbox.models.queryset import CLOSED_BY_HAND, EXHAUSTED, MessageQuerySet
from outbox.operate.suspects import ACTED_BY_REASON

FREEZE = """
INSERT INTO outbox_bulkitem (operation_id, message_id, revision)
SELECT %s, id, revision FROM ({chosen}) AS chosen
"""
PAGE = 20_000
"""Items that one statement reads for the digest."""

HAVE_FAILED = frozenset({Kind.FAILED, Kind.GROUP, Kind.FAILED_AGAIN})
"""Sets whose messages wait for a person by how they are chosen."""


def state_for(verb: str) -> Q:
    """Return the state of messages that the act is for."""
    return CLOSED_BY_HAND if verb == BulkVerb.REOPEN else EXHAUSTED


def freeze(operation: BulkOperation, selection: Selection) -> None:
    """Write an item for each message of the selection, leave out what the act is not for, and count the rest.

    Call it inside a transaction; it locks no message.
    """
    newest = BulkItem.objects.aggregate(newest=Max("pk"))["newest"] or 0
    chosen = selection.messages.order_by("id").values("id", "revision")
    sql, params = chosen.query.get_compiler(conf().database).as_sql()
    with connections[conf().database].cursor() as cursor:
        cursor.execute(FREEZE.format(chosen=sql), [operation.pk, *params])
    ours = BulkItem.objects.filter(pk__gt=newest, operation=operation)
    span = ours.aggregate(first=Min("pk"), last=Max("pk"), total=Count("pk"))
    operation.first_item, operation.last_item = span["first"] or 0, span["last"] or 0
    operation.position = operation.watch_position = max(operation.first_item - 1, 0)
    operation.total = span["total"]
    operation.source = {**selection.source}
    if operation.source["kind"] == Kind.IDS:
        operation.source["unknown"] = operation.source["given"] - operation.total
    counted = preview.count(operation)
    consumers: dict[str, int] = counted["consumers"]
    operation.left_out = _leave_out(operation, selection, consumers, counted["reasons"])
    operation.preview = preview.count(operation) if operation.left_out else counted
    operation.digest = _digest(operation)
    BulkConsumer.objects.bulk_create(
        [BulkConsumer(operation=operation, consumer=name, messages=many) for name, many in consumers.items()]
    )


def include_suspects(operation: BulkOperation) -> int:
    """Take in what was left out as the other side may have acted; return how many that were."""
    suspects = BulkItem.objects.of(operation).filter(result=ItemResult.LEFT_OUT, why=Why.MAY_HAVE_ACTED)
    return suspects.update(result="", why="")


def _leave_out(
    operation: BulkOperation, selection: Selection, consumers: Mapping[str, int], reasons: Collection[str]
) -> int:
    """Mark what the act is not for, and return how many that are."""
    left_out = 0
    if selection.source["kind"] not in HAVE_FAILED:
        left_out += _leave_out_by_state(operation)
    if selection.seen:
        left_out += _leave_out_changed(operation, selection.seen)
    if operation.verb == BulkVerb.REOPEN and (kept := business.for_good(list(consumers))):
        left_out += _mark(operation, Exists(_message().filter(consumer__in=kept)), Why.FOR_GOOD)
    if not operation.retries:
        return left_out
    if Evidence.objects.issued().exists():
        proved = Evidence.objects.issued().filter(message_id=OuterRef("message_id"))
        left_out += _mark(operation, Exists(proved), Why.ISSUED)
    known = {name: entry for name in consumers if (entry := registry.get(name)) is not None}
    if gone := consumers.keys() - known.keys():
        left_out += _mark(operation, Exists(_message().filter(consumer__in=gone)), Why.NO_CONSUMER)
    # What an atomic consumer did was rolled back, unless its handler ended the transaction.
    if not ACTED_BY_REASON.isdisjoint(reasons):
        left_out += _mark(operation, Exists(_message().filter(reason__in=ACTED_BY_REASON)), Why.MAY_HAVE_ACTED)
    if outside := [name for name, entry in known.items() if not entry.atomic]:
        attempts = Attempt.objects.filter(LEAVES_DOUBT, message_id=OuterRef("message_id"))
        if len(outside) == len(consumers):
            left_out += _mark(operation, Exists(attempts), Why.MAY_HAVE_ACTED)
        else:
            is_outside = Exists(_message().filter(consumer__in=outside))
            left_out += _mark(operation, Q(is_outside) & Q(Exists(attempts)), Why.MAY_HAVE_ACTED)
    return left_out


def _leave_out_by_state(operation: BulkOperation) -> int:
    others = BulkItem.objects.of(operation).todo().filter(Exists(_message().exclude(state_for(operation.verb))))
    return others.update(result=ItemResult.LEFT_OUT, why=_why_by_state(operation.verb))


def _why_by_state(verb: str) -> Case:
    unfinished = Exists(_message().filter(status__in=[Status.PENDING, Status.STARTED]))
    else_ = Why.NOT_CLOSED if verb == BulkVerb.REOPEN else Why.CLOSED
    return Case(When(unfinished, then=Value(Why.STARTED.value)), default=Value(else_.value), output_field=CharField())


def _leave_out_changed(operation: BulkOperation, seen: Mapping[int, int]) -> int:
    items = BulkItem.objects.of(operation).todo()
    changed = [id for id, revision in items.values_list("message_id", "revision") if seen.get(id) != revision]
    return items.filter(message_id__in=changed).update(result=ItemResult.LEFT_OUT, why=Why.CHANGED)


def _mark(operation: BulkOperation, condition: Exists | Q, why: Why) -> int:
    items = BulkItem.objects.of(operation).todo().filter(condition)
    return items.update(result=ItemResult.LEFT_OUT, why=why)


def _message() -> MessageQuerySet:
    return Message.objects.filter(pk=OuterRef("message_id"))


def _digest(operation: BulkOperation) -> str:
    """Return the SHA-256 over ids and revisions, in the order of the items, as 64 hex digits."""
    sealed = hashlib.sha256()
    for page in _pages(operation):
        sealed.update("".join(f"{id}:{revision}\n" for id, revision in page).encode())
    return sealed.hexdigest()


def _pages(operation: BulkOperation) -> Iterator[list[tuple[int, int]]]:
    items = BulkItem.objects.of(operation).order_by("pk").values_list("pk", "message_id", "revision")
    last = operation.first_item - 1
    while page := list(items.filter(pk__gt=last)[:PAGE]):
        yield [(id, revision) for _pk, id, revision in page]
        last = page[-1][0]
