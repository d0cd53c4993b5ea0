"""Sales of the shop with their messages, written as if they had long been sold and delivered."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from outbox import Book
from outbox.models import Message
from tests.shop.models import Sale

TOPIC = "test.sale"
CONSUMERS = ("test.till", "test.other")
OLD = timedelta(hours=30)
"""How old sales are unless a test says otherwise."""


class SaleBook(Book):
    """Sales against their messages; all consumers make a sale done."""

    business = Sale.objects.all()
    since = "sold_at"
    topic = TOPIC
    done = Q(status="paid")
    closed = Q(status="void")


def sell(many: int = 1, *, age: timedelta = OLD, apart: timedelta = timedelta(0), status: str = "paid") -> list[Sale]:
    """Write so many sales, the first so old, the others each so much later."""
    first = timezone.now() - age
    return Sale.objects.bulk_create(
        Sale(sold_at=first + apart * number, changed_at=first + apart * number, status=status) for number in range(many)
    )


def message_of(sale: Sale, consumer: str = CONSUMERS[0], **changes: Any) -> Message:
    """Return the message of a sale to one consumer, a success unless ``changes`` say otherwise; unsaved."""
    at = sale.sold_at
    values: dict[str, Any] = {
        "topic": TOPIC,
        "consumer": consumer,
        "key": str(sale.pk),
        "payload": {"amount": sale.amount},
        "status": "success",
        "attempts": 1,
        "attempt_limit": 3,
        "due_at": at,
        "not_before": at,
        "expires_at": at + timedelta(days=7),
        "created_at": at,
        "started_at": at,
        "finished_at": at,
    }
    return Message(**{**values, **changes})


def deliver(sales: Iterable[Sale], consumers: Sequence[str] = CONSUMERS, **changes: Any) -> list[Message]:
    """Write the messages of the sales."""
    return Message.objects.bulk_create(
        message_of(sale, consumer, **changes) for sale in sales for consumer in consumers
    )


def open_again(message: Message) -> None:
    """Have a message be pending, as if it had never ended."""
    Message.objects.filter(pk=message.pk).update(status="pending", finished_at=None, resolution="")


def fail(message: Message) -> None:
    """Have a message wait for a person."""
    at = datetime.now(UTC) - timedelta(hours=1)
    Message.objects.filter(pk=message.pk).update(status="failed", finished_at=at, exhausted_at=at)
