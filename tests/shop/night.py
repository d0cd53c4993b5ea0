"""The consumers of one night: gifts that a vendor sends, points whose payload has changed, and forty other things."""

import functools
import os
from datetime import timedelta

import httpx

from outbox import Backoff, Message, consumer
from tests.shop.models import Effect

ONCE_MORE = Backoff(limit=2, first=timedelta(milliseconds=50), jitter=0)
ONCE = Backoff(limit=1, first=timedelta(milliseconds=50), jitter=0)


class VendorBusy(Exception):
    """The vendor has not taken the order; it knows nothing of it."""


@functools.cache
def _vendor() -> httpx.Client:
    """The connections of this process to the vendor."""
    limits = httpx.Limits(max_connections=60, max_keepalive_connections=60)
    return httpx.Client(base_url=os.environ["NIGHT_VENDOR"], timeout=5, limits=limits, verify=False)


def number_at_vendor(message: Message) -> str | None:
    """Return the vendor's order of a gift, if it has one."""
    answer = _vendor().get(f"/orders/{message.idempotency_key}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    answer.raise_for_status()
    return str(answer.json()["order_number"])


@consumer(
    "night.gift",
    name="shop.send_gift",
    atomic=False,
    concurrency=50,
    timeout=timedelta(seconds=10),
    retry=ONCE_MORE,
    ask=number_at_vendor,
)
def send_gift(message: Message) -> None:
    """Order the gift."""
    order = {"sku": "MUG-01", "recipient": message.key, "award": message.key}
    answer = _vendor().post("/orders", json=order, headers={"Idempotency-Key": message.idempotency_key})
    if answer.status_code in (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS):
        raise VendorBusy("the vendor is closed")
    answer.raise_for_status()


@consumer("night.points", name="shop.credit_points", retry=ONCE, rehearsable=True)
def credit_points(message: Message) -> None:
    """Credit the points; the release of this evening reads them from another key."""
    for _ in range(message.payload["points"]):
        Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=os.getpid())


@consumer("night.other", name="shop.see_to", retry=ONCE)
def see_to(message: Message) -> None:
    """Fail for a reason of its own until somebody has mended it."""
    if why := message.payload["why"]:
        raise ValueError(why)
    Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=os.getpid())
