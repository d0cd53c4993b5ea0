"""Bulk operations as tests prepare and start them, and the passes that go on with them."""

from typing import Any

from outbox.bulk import operations, running, selection
from outbox.bulk.selection import Selection
from outbox.models import Attempt, AttemptOutcome, BulkItem, BulkOperation, Message
from outbox.models.bulk import BulkVerb
from tests.harness.desk import wins


def failed_messages(many: int, **fields: Any) -> list[Message]:
    """Write so many messages that the machine gave up on, in one statement."""
    template = wins.failed("first", **fields)
    rows = []
    for n in range(1, many):
        row = Message.objects.get(pk=template.pk)
        row.pk, row.key = None, f"win {n}"
        row.drawn_key = Message._meta.get_field("drawn_key").get_default()
        rows.append(row)
    Message.objects.bulk_create(rows)
    return list(Message.objects.order_by("pk"))


def prepared(chosen: Selection | None = None, *, verb: BulkVerb = BulkVerb.RETRY, actor: Any = "ada") -> BulkOperation:
    """Prepare an operation, by default a retry of all that failed."""
    return operations.prepare(verb, chosen or selection.failed(), actor=actor)


def started(chosen: Selection | None = None, *, verb: BulkVerb = BulkVerb.RETRY, **options: Any) -> BulkOperation:
    """Prepare an operation and start it."""
    made = prepared(chosen, verb=verb)
    return operations.start(made.pk, revision=0, **{"actor": "ada", "reason": "the till is mended", **options})


def now(operation: BulkOperation) -> BulkOperation:
    """Read the operation again."""
    return BulkOperation.objects.get(pk=operation.pk)


def go_on(operation: BulkOperation) -> BulkOperation:
    """Let the chore make one pass, and read the operation again."""
    running.go_on()
    return now(operation)


def results(operation: BulkOperation) -> list[tuple[str, str]]:
    """Read result and why of each item, in the order of the set."""
    return list(BulkItem.objects.filter(operation=operation).order_by("pk").values_list("result", "why"))


def succeed(*messages: int) -> None:
    """Let the first attempt after a retry succeed."""
    for id in messages or Message.objects.filter(status="pending").values_list("pk", flat=True):
        message = Message.objects.get(pk=id)
        Message.objects.filter(pk=id).update(
            status="success", attempts=message.attempts + 1, finished_at=message.created_at, started_at=message.due_at
        )


def fail_again(*messages: int, outcome: str = AttemptOutcome.FAILED) -> None:
    """Let the first attempt after a retry end otherwise; the message waits for its next."""
    for id in messages or Message.objects.filter(status="pending").values_list("pk", flat=True):
        message = Message.objects.get(pk=id)
        Message.objects.filter(pk=id).update(attempts=message.attempts + 1)
        Attempt.objects.create(message=message, number=message.attempts + 1, outcome=outcome)
