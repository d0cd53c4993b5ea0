"""Consumers that do one thing each, as little as a real one would."""

from django.db.models import F

from outbox import Backoff, Message, consumer
from tests.shop.models import Stock, Tag

ONCE = Backoff(limit=1)


class OutOfOrder(Exception):
    """The machine that should have done the work did not."""


def _take(message: Message) -> None:
    stock = Stock.objects.filter(pk=message.payload["stock"])
    stock.update(count=F("count") - message.payload["pieces"])


@consumer("bench.taken", name="bench.take")
def take(message: Message) -> None:
    """Take pieces from a stock that others take from at the same moment."""
    _take(message)


@consumer("bench.taken_in_order", name="bench.take_sorted", sort=lambda message: message.payload["stock"])
def take_sorted(message: Message) -> None:
    """The same, with chunks in the order of the stock."""
    _take(message)


def _break(message: Message) -> None:
    raise OutOfOrder(f"conveyor {message.pk} stands still")


@consumer("bench.broken", name="bench.break_down", retry=ONCE)
def break_down(message: Message) -> None:
    """Fail for good, always in the same way."""
    _break(message)


@consumer("bench.broken_ungrouped", name="bench.break_ungrouped", retry=ONCE)
def break_ungrouped(message: Message) -> None:
    """The same, without failure groups (``without_failure_groups.py``)."""
    _break(message)


@consumer("bench.tried", name="bench.try_out", retry=ONCE, rehearsable=True)
def try_out(message: Message) -> None:
    """Write a row, or fail in one of three ways, one of which only COMMIT finds."""
    match message.payload.get("do"):
        case "raise":
            raise OutOfOrder(f"conveyor {message.pk} stands still")
        case "miss":
            message.payload["pieces"]
        case "collide":
            Tag.objects.create(name="taken")
        case _:
            Tag.objects.create(name=message.key)
