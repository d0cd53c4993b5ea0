"""Claim, expiry, revocation and issue at the same instant: one wins, stock and ledger add up, nobody has work."""

import random

import pytest

from tests.awards.claims.races import claims_and_expiries, issues_and_revocations

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def test_of_a_claim_and_an_expiry_at_the_same_instant_one_wins():
    ended = claims_and_expiries(40, random.Random(7))

    assert min(ended.values()) > 0, ended


def test_of_an_issue_and_a_revocation_at_the_same_instant_one_wins():
    ended = issues_and_revocations(30, random.Random(7))

    assert sum(ended.values()) == 30
    assert min(ended.values()) > 0, ended
