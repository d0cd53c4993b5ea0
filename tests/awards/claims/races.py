"""Two who want an award at the same instant: run in the suite a few times, and by the thousand as a trial."""

import random
import time
from datetime import timedelta

from django.db import connection
from django.db.models.functions import Now

from awards.claims.claiming import claim
from awards.errors import AwardChanged, ClaimExpired
from awards.models import Award, AwardStatus, Claim, PointsAccount, PointsEntry, Prize, StockChange
from awards.services.revoking import revoke
from outbox import Message
from outbox.delivery import chunks
from tests.awards.claims.given import ANNA, let_time_pass
from tests.awards.given import a_campaign, a_draw, a_gift, message_of, points
from tests.harness.threads import at_once

AHEAD = timedelta(milliseconds=60)
JITTER = 0.015
"""Seconds by which a claim is made before the award's time is over at most, and after it."""
ISSUING = 0.03
"""Seconds after which a revocation is made at most, once the award's points begin to be issued."""


def claims_and_expiries(times: int, rng: random.Random) -> dict[str, int]:
    """Claim and expire ``times`` awards, each at the instant its time is over; return how they ended, all checked."""
    campaign = a_campaign("claims-race")
    prize = a_gift(campaign, stock=times, claim_days=7)
    for number in range(times):
        _claim_and_expire(a_draw(campaign, f"person {number}").award, rng)
    awards = Award.objects.filter(prize=prize)
    claimed = awards.filter(status=AwardStatus.WON, claimed_at__isnull=False).count()
    expired = awards.filter(status=AwardStatus.EXPIRED, claimed_at__isnull=True).count()
    assert claimed + expired == times
    assert Claim.objects.filter(award__prize=prize).count() == claimed
    assert Message.objects.filter(topic="award.won.gift", consumer="awards.order_gift").count() == claimed
    assert Prize.objects.get(pk=prize.pk).stock == StockChange.objects.filter(prize=prize).count() == expired
    _assert_no_work()
    return {"claimed": claimed, "expired": expired}


def _claim_and_expire(award: Award, rng: random.Random) -> None:
    due = Message.objects.get(topic="award.claim.due", key=str(award.pk))
    begins = time.monotonic() + AHEAD.total_seconds()
    let_time_pass(award, AHEAD)
    claims_at = begins + rng.uniform(-JITTER, JITTER)

    def be_claimed() -> None:
        connection.ensure_connection()
        time.sleep(max(0.0, claims_at - time.monotonic()))
        try:
            claim(award, ANNA)
        except ClaimExpired:
            return

    def expire() -> None:
        connection.ensure_connection()
        time.sleep(max(0.0, begins - time.monotonic()))
        while Message.objects.filter(pk=due.pk, finished_at__isnull=True).exists():
            let_time_come(due)
            chunks.deliver("awards.expire_claim", [due.pk])

    at_once(be_claimed, expire)


def let_time_come(message: Message) -> None:
    """Let a message that was called too early be due again."""
    Message.objects.filter(pk=message.pk, status="pending").update(not_before=Now(), due_at=Now())


def issues_and_revocations(times: int, rng: random.Random) -> dict[str, int]:
    """Issue and revoke ``times`` awards of points, each at one instant; return how they ended, all checked."""
    campaign = a_campaign("revocations-race", restock_revoked=True)
    prize = points(campaign, 50, stock=times)
    ended = {"revoked before": 0, "taken back": 0}
    for number in range(times):
        award = a_draw(campaign, "anna").award
        message = message_of(award)

        def be_revoked(award: Award = award, after: float = rng.uniform(0, ISSUING)) -> str:
            connection.ensure_connection()
            time.sleep(after)
            try:
                revoke(award, actor="ada", reason="a race")
            except AwardChanged:
                return "late"
            return "revoked"

        said, _ = at_once(be_revoked, lambda message=message: chunks.deliver("awards.issue_points", [message.pk]))
        if said == "late":
            award.refresh_from_db()
            assert award.status == AwardStatus.ISSUED, number
            assert revoke(award, actor="ada", reason="afterwards").points == 50
        ended["taken back" if said == "late" else "revoked before"] += 1
        while Message.objects.filter(pk=message.pk, finished_at__isnull=True).exists():
            let_time_come(message)
            chunks.deliver("awards.issue_points", [message.pk])
    _assert_ledger(prize, ended, times)
    return ended


def _assert_ledger(prize: Prize, ended: dict[str, int], times: int) -> None:
    awards = Award.objects.filter(prize=prize)
    assert set(awards.values_list("status", flat=True)) == {AwardStatus.REVOKED}
    entries = PointsEntry.objects.filter(account_id="anna")
    assert entries.filter(points=50).count() == entries.filter(points=-50).count() == ended["taken back"]
    assert sum(PointsAccount.objects.values_list("balance", flat=True)) == sum(entries.values_list("points", flat=True))
    back = StockChange.objects.filter(prize=prize).count()
    stock = Prize.objects.get(pk=prize.pk).stock
    assert stock == back
    assert ended["taken back"] <= back <= times
    _assert_no_work()


def _assert_no_work() -> None:
    """Nobody has anything to do at the desk."""
    assert not Message.objects.filter(exhausted_at__isnull=False).exists()
