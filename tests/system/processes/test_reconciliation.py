"""The demo's reconciliation sees what is lost and what is doubled, and believes ledger and book before the messages."""

from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from awards.channels import points
from awards.models import Award, Campaign, Draw, Kind, PointsAccount, Prize
from config.demo.reconciliation import ISSUERS, handled_by, pid_in, reconcile
from outbox import Message, publish

pytestmark = pytest.mark.django_db

RUN = "demo-1234"


@pytest.fixture
def prizes():
    now = timezone.now()
    campaign = Campaign.objects.create(slug="raffle", name="Raffle", starts_at=now, ends_at=now + timedelta(days=1))
    return {
        Kind.POINTS: Prize.objects.create(campaign=campaign, name="50 points", kind=Kind.POINTS, value=Decimal(50)),
        Kind.GIFT: Prize.objects.create(
            campaign=campaign, name="Mug", kind=Kind.GIFT, value=Decimal(5), vendor_sku="MUG"
        ),
    }


@pytest.fixture
def win(prizes):
    def win(kind, *, run=RUN):
        prize = prizes[kind]
        request_id = f"{run}-{Draw.objects.count()}"
        with transaction.atomic():
            drawn = Draw.objects.create(
                campaign=prize.campaign, request_id=request_id, person="ann@example.org", digest=request_id
            )
            award = Award.objects.create(
                draw=drawn, prize=prize, person=drawn.person, kind=kind, value=prize.value, vendor_sku=prize.vendor_sku
            )
            publish(f"award.won.{kind}", key=award.pk, payload={"award": award.pk})
        return award

    return win


def reconciled(*, shipped=()):
    result = reconcile(run=RUN, shipped=[str(award.public_id) for award in shipped], since=0)
    return {name: value for name, value in asdict(result).items() if value}


def messages(award):
    """The award's messages to the consumers that issue; others hear of it too."""
    return Message.objects.filter(key=str(award.pk), consumer__in=ISSUERS)


def exhaust(award):
    now = timezone.now()
    messages(award).update(status="failed", finished_at=now, exhausted_at=now)


def test_an_award_with_its_effect_is_issued(win):
    points.credit_points(win(Kind.POINTS))
    mug = win(Kind.GIFT)

    assert reconciled(shipped=[mug]) == {"draws": 2, "won": 2, "issued": 2}


def test_an_award_without_effect_is_lost_even_if_its_message_says_success(win):
    award = win(Kind.POINTS)

    messages(award).update(status="success", finished_at=timezone.now())

    assert reconciled() == {"draws": 1, "won": 1, "lost": 1}


def test_an_award_without_any_message_is_lost(win):
    messages(win(Kind.GIFT)).delete()

    assert reconciled() == {"draws": 1, "won": 1, "lost": 1}


def test_an_award_whose_message_waits_at_the_desk_has_failed_but_is_not_lost(win):
    exhaust(win(Kind.GIFT))

    assert reconciled() == {"draws": 1, "won": 1, "failed": 1}


def test_an_award_that_a_person_has_dealt_with_is_handled(win):
    award = win(Kind.GIFT)

    messages(award).update(status="success", resolution="handled", finished_at=timezone.now())

    assert reconciled() == {"draws": 1, "won": 1, "handled": 1}


def test_an_award_without_effect_is_lost_even_if_a_message_to_another_consumer_has_failed(win):
    award = win(Kind.POINTS)
    now = timezone.now()

    messages(award).update(status="success", finished_at=now)
    others = Message.objects.filter(key=str(award.pk)).exclude(consumer__in=ISSUERS)
    assert others.update(status="failed", finished_at=now, exhausted_at=now) > 0

    assert reconciled() == {"draws": 1, "won": 1, "lost": 1}


def test_two_orders_for_one_award_in_the_vendor_s_book_are_doubled(win):
    mug = win(Kind.GIFT)

    assert reconciled(shipped=[mug, mug]) == {"draws": 1, "won": 1, "doubled": 1}


def test_a_second_order_is_doubled_even_if_a_person_has_handled_the_award(win):
    mug = win(Kind.GIFT)

    messages(mug).update(status="success", resolution="handled", finished_at=timezone.now())

    assert reconciled(shipped=[mug, mug]) == {"draws": 1, "won": 1, "handled": 1, "doubled": 1}


def test_an_order_for_an_award_that_does_not_exist_or_is_no_gift_is_doubled(win):
    award = win(Kind.POINTS)
    points.credit_points(award)
    never_committed = Award(kind=Kind.GIFT)

    assert reconciled(shipped=[never_committed]) == {"draws": 1, "won": 1, "issued": 1, "doubled": 1}
    assert reconciled(shipped=[award])["doubled"] >= 1


def test_a_balance_that_is_not_the_sum_of_its_entries_is_doubled(win):
    points.credit_points(win(Kind.POINTS))

    PointsAccount.objects.credit("ann@example.org", 50)

    assert reconciled() == {"draws": 1, "won": 1, "issued": 1, "doubled": 1}


def test_draws_of_other_runs_do_not_count(win):
    win(Kind.POINTS, run="demo-12345")
    win(Kind.POINTS, run="by-hand")

    assert reconciled() == {}


def test_messages_are_counted_by_the_process_that_held_them(win):
    for worker in ("host:17:99", "host:17:98", "host:18", ""):
        messages(win(Kind.POINTS)).update(worker=worker, attempts=1 if worker else 0)

    assert handled_by(since=0) == {"17": 2, "18": 1}
    assert pid_in("host:17:99") == 17
