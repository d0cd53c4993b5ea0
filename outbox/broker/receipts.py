"""Receipts of ours: what was taken in has come to an end here, and its sender waits to be told.

A receipt is a message to the consumer ``<source>.receipts``, written in the transaction of the end that it tells of.
That consumer looks what the end is when it sends it: then all that was committed before is seen, also by others.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db.models.functions import Now

from outbox import registry, sources
from outbox.broker import dispatcher
from outbox.models import Message
from outbox.sources import ID_HEADER, SOURCE_HEADER, receipt_wanted

DONE, GIVEN_UP, BY_HAND, AGAIN = "done", "given-up", "by-hand", "again"
"""What a receipt is about, in its key: each end of a message is told once, and so is each delivery after it."""


def are_wanted(messages: Iterable[Message]) -> bool:
    """Tell whether a sender waits to be told of one of these messages."""
    return sources.any_sends_receipts() and any(_row(message, DONE) for message in messages)


def publish_receipts(messages: Iterable[Message], *, end: str = DONE) -> None:
    """Publish that these messages have come to an end, in the transaction that ends them."""
    if sources.any_sends_receipts():
        _write([row for message in messages if (row := _row(message, end))])


def publish_receipts_of(ids: Collection[int], *, end: str = GIVEN_UP) -> None:
    """Publish the same of the messages with these ids."""
    if sources.any_sends_receipts():
        columns = ("topic", "key", "headers", "attempts", "revision")
        publish_receipts(Message.objects.filter(pk__in=ids).only(*columns).order_by("pk"), end=end)


def publish_again(source: str, known: Iterable[tuple[str, str, str, Mapping[str, Any]]]) -> None:
    """Publish that messages were delivered again, each with its sender's id, its topic, key and headers.

    Where nothing is settled yet, nothing is sent for it.
    """
    rows = []
    for sender_id, topic, key, headers in known:
        wanted = receipt_wanted(sender_id, headers)
        if wanted is not None:
            rows.append(_message(source, f"{key}.{wanted.attempt}.{AGAIN}", topic, key, wanted))
    _write([row for row in rows if row])


def _row(message: Message, end: str) -> Message | None:
    headers = message.headers
    source = sources.get_source(str(headers.get(SOURCE_HEADER, "")))
    if source is None or not source.receipts:
        return None
    wanted = receipt_wanted(headers.get(ID_HEADER), headers)
    if wanted is None:
        return None
    key = f"{message.pk}.{message.attempts}.{message.revision}.{end}"
    return _message(source.name, key, message.topic, message.key, wanted)


def _message(source: str, own_key: str, topic: str, key: str, wanted: sources.ReceiptWanted) -> Message | None:
    consumer = registry.get(sources.receipts_consumer(source))
    if consumer is None:
        return None
    return Message(
        topic=consumer.pattern,
        consumer=consumer.name,
        key=own_key,
        payload={"topic": topic, "key": key, **wanted._asdict()},
        attempt_limit=consumer.retry.limit,
        created_at=Now(),
        not_before=Now(),
        due_at=Now(),
        expires_at=Now() + consumer.deadline,
    )


def _write(rows: list[Message]) -> None:
    if rows:
        Message.objects.bulk_create(rows, ignore_conflicts=True)
        dispatcher.dispatch_on_commit({row.consumer: [] for row in rows})
