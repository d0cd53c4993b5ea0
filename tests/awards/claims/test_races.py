"""Claim, expiry, revocation and issue at the same instant: one wins, stock and ledger add up, nobody has work."""

import random

import pytest
from django.db import transaction

from awards.claims import expiry
from awards.models import Award
from outbox.testing import deliver_pending
from tests.awards.claims.given import let_time_pass
from tests.awards.claims.races import claims_and_expiries, issues_and_revocations
from tests.awards.given import Highest, Sequence, a_campaign, a_draw, a_gift
from tests.harness.threads import uncommitted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def test_of_a_claim_and_an_expiry_at_the_same_instant_one_wins():
    ended = claims_and_expiries(40, random.Random(7))

    assert min(ended.values()) > 0, ended


def test_of_an_issue_and_a_revocation_at_the_same_instant_one_wins():
    ended = issues_and_revocations(30, random.Random(7))

    assert sum(ended.values()) == 30
    assert min(ended.values()) > 0, ended


def test_of_two_redraws_of_one_prize_at_once_a_person_wins_no_more_than_each_may():
    campaign = a_campaign(redraws_expired=True, losing_weight=5)
    a_gift(campaign, stock=2, claim_days=7, wins_per_person=1)
    for _ in range(2):
        a_draw(campaign, "bertha", luck=Sequence(0))
    first, second = [a_draw(campaign, winner).award for winner in ("anna", "carla")]
    for award in first, second:
        let_time_pass(award)
    deliver_pending("awards.expire_claim")

    with uncommitted(lambda: expiry.redraw(first.pk, Sequence(0))), transaction.atomic():
        found = expiry.redraw(second.pk, Highest())

    assert found is None
    assert Award.objects.filter(person="bertha").count() == 1
