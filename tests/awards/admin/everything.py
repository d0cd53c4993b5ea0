"""Rows of everything that the admin shows: messages of each state, failure groups, the business, as fixtures."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from awards.models import (
    Award,
    Block,
    Claim,
    Coupon,
    EntitlementImport,
    PointsAccount,
    PointsEntry,
    Refusal,
    Sale,
    VendorOrder,
)
from outbox import consumer, registry
from outbox.models import ConsumerState, Exchange, FailureGroup, Message, MinuteStat, Note, Places, SavedView
from tests.awards import given
from tests.awards.clients.given import a_client, an_entitlement
from tests.harness.rows import Rows, attempt

PEOPLE = ("anna@example.com", "ben@example.com", "cleo")


def name_of(number: int) -> str:
    return f"many.consumer_{number:02}"


@pytest.fixture
def consumers() -> Iterator[Callable[[int], None]]:
    """Make so many consumers with messages in every state, failure groups, held keys, pauses and figures."""
    with ExitStack() as made:

        def make(last: int, *, first: int = 0) -> None:
            for number in range(first, last):
                name = name_of(number)
                consumer("many.topic", name=name, atomic=False, concurrency=2)(_nothing)
                made.callback(registry.forget_consumer, name)
                _write_messages(name, number)

        yield make


def _nothing(_message: object) -> None:
    """Consume."""


def _write_messages(name: str, number: int) -> None:
    """Write what stands in the table of one consumer; of everything so much that the first is on a page of its own."""
    rows = Rows(name, topic="many.topic", age=timedelta(minutes=number + 1))
    groups = [f"{name} {n}".ljust(64, "-") for n in range(3)]
    for state, fingerprint in zip(("new", "ignored", "fixed"), groups, strict=True):
        group = FailureGroup.objects.create(
            fingerprint=fingerprint, consumer=name, title="ValueError: the till", exception="ValueError", state=state
        )
        group.counts.create(slot=1, count=9, last_at=timezone.now())
    for n in range(18):
        last = rows.failed(f"failed {n}", failure=groups[n % 3])
        attempt(last)
        rows.pending(f"pending {n}")
        rows.started(f"started {n}")
        rows.success(f"success {n}")
        rows.handled(f"handled {n}")
        rows.discarded(f"discarded {n}")
        rows.discarded(f"overdue {n}", resolution="overdue", reason="expired")
    Note.objects.create(message=last, owner="ada", text="x")
    SavedView.objects.create(owner=f"of {number}", name="theirs", query="tab=failed", is_shared=True)
    merged = FailureGroup.objects.create(fingerprint=f"{name} m".ljust(64, "-"), consumer=name, title="merged")
    FailureGroup.objects.filter(pk=merged.pk).update(merged_into=groups[0])
    head = rows.failed("head", ordering_key="key", failure=groups[0])
    for each in (head, *Message.objects.filter(consumer=name, key__in=["failed 1", "handled 1", "success 1"])):
        Exchange.objects.create(message=each, number=1, position=0, request="{}", answer="x")
    rows.pending("behind", ordering_key="key", due_at=head.expires_at)
    if number:
        ConsumerState.objects.create(consumer=name, paused_at=Now(), paused_by="ada", paused_reason="x")
        ConsumerState.objects.create(consumer=f"gone.{number}", paused_at=Now(), paused_by="ada", paused_reason="x")
        MinuteStat.objects.create(
            minute=timezone.now().replace(second=0, microsecond=0), consumer=name, successes=1, failed=2
        )
        Places.objects.say(name, f"worker {number}", width=2, taken=1, stuck=1)


@pytest.fixture
def business() -> dict[str, Any]:
    """Make awards of each kind, more than a page of them, and what issuing leaves behind."""
    campaign = given.a_campaign()
    prize = given.points(campaign)
    for n in range(60):
        given.a_draw(campaign, PEOPLE[n % 3], request_id=f"draw-{n}")
    award = Award.objects.filter(person=PEOPLE[0]).latest("pk")
    account = PointsAccount.objects.create(person=PEOPLE[0], balance=50)
    entry = PointsEntry.objects.create(account=account, award=award, points=50)
    gift = given.an_award_of_a_gift()
    order = VendorOrder.objects.create(award=gift, number="V-1", sku=gift.vendor_sku, idempotency_key="key-1")
    coupon_prize = given.a_coupon_prize(campaign, codes=60)
    entitled = [an_entitlement(campaign, PEOPLE[n % 3]) for n in range(60)]
    listed = EntitlementImport.objects.create(campaign=campaign, actor="maria", lines=3, done=1)
    block = Block.objects.create(kind="person", subject="dora", reason="x", blocked_by="maria")
    client, _key = a_client()
    Refusal.objects.create(campaign=campaign, code="blocked", day="2026-01-31", times=3)
    return {
        "claim": Claim.objects.create(award=gift, name="A", street="B", postcode="1", city="C", country="D").pk,
        "client": client.pk,
        "entitlement": entitled[0].pk,
        "list": listed.pk,
        "block": block.pk,
        "sale": Sale.objects.create(campaign=campaign, rate=10, queues=True).pk,
        "campaign": campaign.pk,
        "prize": prize.pk,
        "coupon_prize": coupon_prize.pk,
        "coupon": Coupon.objects.latest("pk").pk,
        "award": award.pk,
        "award_uuid": award.public_id,
        "draw": award.draw_id,
        "account": account.pk,
        "points": entry.pk,
        "order": order.pk,
        "award_message": given.message_of(award).pk,
    }
