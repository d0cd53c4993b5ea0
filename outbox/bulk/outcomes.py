"""What became of the retried: how the first attempt after the retry ended, which the stop rule counts.

The machine does not move the revision, so a message that still has the one of the retry is as the operation left it but
for what workers did. An attempt that only found the world down, or lost its worker, says nothing of the message; then
the next one is waited for.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from django.db import transaction
from django.db.models import F

from outbox.conf import conf
from outbox.models import Attempt, BulkItem, BulkOperation, Message, Status
from outbox.models.attempt import AttemptOutcome
from outbox.models.bulk import FirstOutcome
from outbox.models.sql.conditions import Named

SPAN = 5_000
"""Items that one look goes over at most."""
SAYS_NOTHING = (AttemptOutcome.UNAVAILABLE, AttemptOutcome.LOST, AttemptOutcome.LATE)
COUNTERS = {
    FirstOutcome.SUCCEEDED: "succeeded",
    FirstOutcome.FAILED: "failed_again",
    FirstOutcome.NOT_READY: "not_ready",
    FirstOutcome.OVERTAKEN: "overtaken",
}


class _Awaited(NamedTuple):
    """An item that was retried: the revision that the retry left, and the attempts before it."""

    item: int
    message: int
    revision: int
    attempts: int


class _State(NamedTuple):
    """Where its message stands now."""

    revision: int
    attempts: int
    status: str


def watch(operation_id: int) -> int:
    """Write down the outcomes that have come in, of the next items in turn; return how many those are."""
    with transaction.atomic(using=conf().database):
        rows = BulkOperation.objects.awaiting_outcomes().filter(pk=operation_id)
        operation = rows.select_for_update(skip_locked=True, no_key=True).first()
        if operation is None:
            return 0
        items = _next_items(operation)
        outcomes = _outcomes(items)
        counted: Counter[str] = Counter()
        for outcome, ids in outcomes.items():
            BulkItem.objects.filter(Named(ids), operation=operation).update(outcome=outcome)
            counted[COUNTERS[outcome]] += len(ids)
        further = operation.watch_position + SPAN
        BulkOperation.objects.filter(pk=operation.pk).update(
            watch_position=further if further < operation.last_item else operation.first_item - 1,
            **{name: F(name) + many for name, many in counted.items()},
        )
        return sum(counted.values())


def _next_items(operation: BulkOperation) -> list[_Awaited]:
    first, last = operation.watch_position, operation.watch_position + SPAN
    items = BulkItem.objects.filter(pk__gt=first, pk__lte=last, operation=operation).awaited().order_by("pk")
    columns = items.values_list("pk", "message_id", "revision", "attempts")
    return [_Awaited(pk, message, revision + 1, attempts) for pk, message, revision, attempts in columns]


def _outcomes(items: Collection[_Awaited]) -> Mapping[FirstOutcome, list[int]]:
    """Return the items whose outcome is known, by outcome."""
    if not items:
        return {}
    rows = Message.objects.filter(Named([item.message for item in items]))
    states = {id: _State(*rest) for id, *rest in rows.values_list("pk", *_State._fields)}
    unclear = [item for item in items if _must_look_at_attempts(item, states.get(item.message))]
    firsts = _first_attempts(unclear)
    found: dict[FirstOutcome, list[int]] = defaultdict(list)
    for item in items:
        outcome = _outcome(item, states.get(item.message), firsts.get(item.message))
        if outcome is not None:
            found[outcome].append(item.item)
    return found


def _must_look_at_attempts(item: _Awaited, state: _State | None) -> bool:
    """Tell whether more than one attempt, or one without success, has been made since."""
    if state is None or state.revision != item.revision or state.attempts == item.attempts:
        return False
    return state.attempts > item.attempts + 1 or state.status != Status.SUCCESS


def _first_attempts(items: Collection[_Awaited]) -> dict[int, str]:
    """Return, by message, how the first attempt since ended that says something of the message."""
    since = {item.message: item.attempts for item in items}
    if not since:
        return {}
    attempts = Attempt.objects.filter(message_id__in=list(since)).exclude(outcome__in=SAYS_NOTHING)
    firsts: dict[int, str] = {}
    for message, number, outcome in attempts.order_by("number", "id").values_list("message_id", "number", "outcome"):
        if number > since[message]:
            firsts.setdefault(message, outcome)
    return firsts


def _outcome(item: _Awaited, state: _State | None, first: str | None) -> FirstOutcome | None:
    if state is None or state.revision != item.revision:
        return FirstOutcome.OVERTAKEN
    if first is not None:
        return FirstOutcome.NOT_READY if first == AttemptOutcome.SNOOZED else FirstOutcome.FAILED
    if state.status == Status.SUCCESS:
        return FirstOutcome.SUCCEEDED
    return FirstOutcome.FAILED if state.status == Status.FAILED else None
