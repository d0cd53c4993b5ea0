"""What a message costs the one who writes it: timed in the caller, with and without the message in turns."""

import statistics
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

from django.db import transaction
from django.utils import timezone

import outbox
from benchmarks.peers.commands import PERSON
from benchmarks.peers.work.models import Award, payload_of

MESSAGES_PER_DRAW = 3
"""An award of points has three consumers: one issues it, one notifies the winner, one counts it."""
MANY = 1000
BLOCK = 50
"""Transactions of a kind in a row."""
SETTLE_SECONDS = 0.05
"""After which nothing is done any more for what was committed before."""


def measure_insert(adapter: ModuleType, repeats: int) -> dict[str, float]:
    """Return the median milliseconds of a transaction with one INSERT, and of the same with its message.

    Where the adapter can write its message by plain SQL, also of that.
    """

    def plain() -> None:
        with transaction.atomic():
            Award.objects.create(person=PERSON)

    def sending(send: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        def with_message() -> None:
            with transaction.atomic():
                award = Award.objects.create(person=PERSON)
                send(payload_of(award.pk))

        return with_message

    transactions = {"without": plain, "with": sending(adapter.send)}
    if hasattr(adapter, "send_by_sql"):
        transactions["by SQL"] = sending(adapter.send_by_sql)
    return _time_in_turns(transactions, repeats)


def measure_many(adapter: ModuleType) -> float:
    """Return the milliseconds that each of a thousand messages takes, written in one transaction."""
    awards = Award.objects.bulk_create(Award(person=PERSON) for _ in range(MANY))
    payloads = [payload_of(award.pk) for award in awards]
    began = time.perf_counter()
    with transaction.atomic():
        adapter.send_many(payloads)
    return (time.perf_counter() - began) * 1e3 / MANY


def measure_draw(adapter: ModuleType, repeats: int) -> dict[str, float]:
    """Return the median milliseconds of a draw that wins points, without its messages and with them.

    Makegood publishes once, for three consumers; a peer has no consumers of a topic and sends three messages.
    """
    # Only where a draw is asked for: the business is not installed everywhere.
    from awards.models import Campaign
    from awards.services import awarding, draws

    campaign = Campaign.objects.filter(slug="bench").first() or _create_campaign()
    own = outbox.publish_many

    def for_each_consumer(drafts: Iterable[Any]) -> list[int]:
        for draft in drafts:
            for _ in range(MESSAGES_PER_DRAW):
                adapter.send(draft.payload)
        return []

    def draw(publish: Callable[..., Any]) -> Callable[[], None]:
        def run() -> None:
            vars(awarding)["publish_many"] = publish  # takes no time that would be measured
            person, request_id = f"{uuid.uuid4()}@example.com", str(uuid.uuid4())
            draws.draw_ticket(campaign, person=person, request_id=request_id, luck=_FirstTicket())

        return run

    publish = own if getattr(adapter, "PUBLISHES", False) else for_each_consumer
    try:
        return _time_in_turns({"without": draw(lambda _drafts: []), "with": draw(publish)}, repeats)
    finally:
        vars(awarding)["publish_many"] = own


def open_campaign() -> None:
    """Make the campaign in which everybody wins points."""
    _create_campaign()


def check_draws(published: bool) -> None:
    """Raise if draws have not left the messages that they should."""
    from awards.models import Award as Won
    from outbox.models import Message

    messages, expected = Message.objects.count(), Won.objects.count() * MESSAGES_PER_DRAW * published
    if messages != expected or not Won.objects.exists():
        raise AssertionError(f"{messages} messages of {Won.objects.count()} awards, not {expected}")


class _FirstTicket:
    """A random source that always gives the first ticket."""

    def randrange(self, _stop: int, /) -> int:
        return 0


def _create_campaign() -> Any:
    from awards.models import Campaign, Kind, Prize

    now = timezone.now()
    span = timedelta(days=1)
    fields = {"starts_at": now - span, "ends_at": now + span, "losing_weight": 0, "access": "open"}
    campaign = Campaign.objects.create(slug="bench", name="Benchmark", **fields)
    Prize.objects.create(campaign=campaign, name="50 points", kind=Kind.POINTS, value=Decimal(50), weight=1)
    return campaign


def _time_in_turns(transactions: Mapping[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Return the median milliseconds of each, done in blocks that alternate.

    What the process does for a message in the background then falls on those with one, and on none of those without.
    """
    milliseconds: dict[str, list[float]] = {name: [] for name in transactions}
    for turn in range(max(2, repeats // BLOCK) + 1):
        for name, run in transactions.items():
            time.sleep(SETTLE_SECONDS)
            for _ in range(min(BLOCK, repeats)):
                began = time.perf_counter()
                run()
                if turn:  # the first block warms up
                    milliseconds[name].append((time.perf_counter() - began) * 1e3)
    return {name: statistics.median(values) for name, values in milliseconds.items()}
