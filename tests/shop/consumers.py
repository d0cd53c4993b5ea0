"""Consumers that do on demand what consumers do: write, fail, wait, kill their process."""

import asyncio
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

from django.db import connection, transaction
from django.db.models import F
from kombu import Exchange

from outbox import Backoff, Message, Reject, Snooze, Unavailable, consumer, forward, receive
from tests.shop import halves, night  # noqa: F401  # their consumers
from tests.shop.misbehaviour import MISBEHAVIOUR
from tests.shop.models import Effect, Stock, Tag
from tests.shop.rehearsed import REHEARSED

QUICK = Backoff(limit=3, first=timedelta(milliseconds=50), jitter=0)
CALLS_A_SECOND = 100
"""How many calls the vendor of ``shop.rated`` allows."""


if "SHOP_RECEIVES" in os.environ:  # the queue of a test with a real receiver; no other test has a source
    receive(
        os.environ["SHOP_RECEIVES"],
        topic=os.environ.get("SHOP_TAKES") or (lambda m: f"shop.{m.properties['type']}"),
        source="partner",
        high_water=int(os.environ.get("SHOP_HIGH_WATER", "100000")),
    )


if "SHOP_FORWARDS" in os.environ:  # the exchange of a test with real workers that forward; no other test has one
    forward(
        "shop.forward",
        "shop.forwarded",
        exchange=Exchange(os.environ["SHOP_FORWARDS"], type="topic"),
        sequence="SHOP_NUMBERED" in os.environ,
        timeout=timedelta(seconds=2),
        retry=QUICK,
    )


def leave_effect(message: Message) -> None:
    Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=os.getpid())


@consumer("shop.sold", name="shop.book", retry=QUICK)
def book(message: Message) -> None:
    """Leave an effect, then do what the payload says."""
    leave_effect(message)
    do = message.payload.get("do")
    if do == "fail" or (do == "fail once" and message.attempts == 1):
        raise ValueError(message.payload.get("text", "the till is jammed"))
    if do == "reject":
        raise Reject("not for sale")
    if do == "snooze":
        raise Snooze(timedelta(seconds=message.payload.get("seconds", 60)))
    if do == "unavailable":
        raise Unavailable("the bank does not answer")
    if do == "sleep":
        time.sleep(message.payload["seconds"])
    if do == "kill" or (do == "kill once" and message.attempts == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "tag":
        Tag.objects.create(name=message.payload["name"])
    if do == "misbehave":
        MISBEHAVIOUR[message.payload["how"]](message)


@consumer("shop.sold_slowly", name="shop.book_few", retry=QUICK, chunk=10)
def book_few(message: Message) -> None:
    """The same, in small chunks."""
    book(message)


@consumer("shop.shared", name="shop.take", retry=QUICK)
def take(message: Message) -> None:
    """Take from two stocks in the order that the payload names, as deadlocks need it."""
    for pk in message.payload["stocks"]:
        Stock.objects.filter(pk=pk).update(count=F("count") - 1)
        time.sleep(message.payload.get("between", 0))
    leave_effect(message)


@consumer("shop.sorted", name="shop.take_sorted", sort=lambda message: message.payload["stocks"], retry=QUICK)
def take_sorted(message: Message) -> None:
    """The same, with chunks in the order of the stock."""
    take(message)


@consumer("shop.ordered", name="shop.order", atomic=False, timeout=timedelta(seconds=2), retry=QUICK)
def order(message: Message) -> None:
    """Act outside any transaction, and settle with the result if asked to."""
    leave_effect(message)
    match message.payload.get("do"):
        case "fail":
            raise ValueError("the vendor is confused")
        case "sleep":
            time.sleep(message.payload["seconds"])
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    if message.payload.get("settle"):
        with message.settling():
            Tag.objects.create(name=f"order {message.key}")


def call_vendor(message: Message) -> None:
    """Write the call into the vendor's book, outside any transaction; it knows an order by its key."""
    with Path(os.environ.get("VENDOR_BOOK", os.devnull)).open("a") as book:
        book.write(f"{message.key} {os.getpid()} {time.time()}\n")


@consumer("shop.called", name="shop.call", atomic=False, concurrency=50, timeout=timedelta(seconds=5), retry=QUICK)
def call(message: Message) -> None:
    """Call a vendor that takes its time, beside many other calls."""
    call_vendor(message)
    time.sleep(message.payload.get("seconds", 0))
    if message.payload.get("do") == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if message.payload.get("settle"):
        with message.settling():
            leave_effect(message)


@consumer("shop.called_by_few", name="shop.call_by_few", atomic=False, concurrency=3, timeout=timedelta(seconds=10))
def call_by_few(message: Message) -> None:
    """The same with few places in a process."""
    call(message)


@consumer("shop.awaited", name="shop.await", atomic=False, concurrency=50, timeout=timedelta(seconds=5), retry=QUICK)
async def call_async(message: Message) -> None:
    """The same on the event loop."""
    call_vendor(message)
    await asyncio.sleep(message.payload.get("seconds", 0))
    if message.payload.get("do") == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if message.payload.get("settle"):
        await message.settle(leave_effect, message)


@consumer("shop.rated", name="shop.call_evenly", atomic=False, concurrency=50, rate=f"{CALLS_A_SECOND}/s", retry=QUICK)
def call_evenly(message: Message) -> None:
    """Call a vendor that allows only so many calls a second."""
    call_vendor(message)


@consumer("shop.once", name="shop.call_once", atomic=False, concurrency=50, at_most_once=True)
def call_once(message: Message) -> None:
    """Call a vendor that knows no order again, and so must never be asked twice."""
    call(message)


@consumer("shop.counted", name="shop.count", bulk=True, chunk=100, retry=QUICK)
def count(messages: list[Message]) -> None:
    """Count many sales at once; fail for all if one of them is bad."""
    for message in messages:
        if message.payload.get("do") == "fail":
            raise ValueError("cannot count this")
    with transaction.atomic():
        Stock.objects.filter(pk=1).update(count=F("count") + len(messages))
        Effect.objects.bulk_create(
            Effect(key=message.key, message_id=message.pk, attempt=message.attempts, pid=os.getpid())
            for message in messages
        )


@consumer("shop.queue.*", name="shop.keep_order", retry=QUICK)
def keep_order(message: Message) -> None:
    """Leave an effect, in order if the messages have an ordering key."""
    book(message)


@consumer(
    "shop.hung",
    name="shop.hang",
    timeout=timedelta(seconds=1),
    retry=Backoff(limit=2, first=timedelta(milliseconds=50), jitter=0),
)
def hang(message: Message) -> None:
    """Leave an effect, then hang as the payload says: in a loop, in the database, or where no signal reaches."""
    leave_effect(message)
    match message.payload.get("do"):
        case "loop":
            while True:
                pass
        case "ask":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(600)")
        case "hold on":
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            time.sleep(600)


@consumer("shop.tried", name="shop.try_out", retry=QUICK, timeout=timedelta(seconds=2), rehearsable=True)
def try_out(message: Message) -> None:
    """Leave an effect, then do what a rollback undoes, or does not."""
    leave_effect(message)
    REHEARSED[message.payload.get("do", "")](message)
