"""What an operator does with the message that issues an award reaches the campaign's budget."""

from decimal import Decimal

import pytest

from awards.models import Award, Campaign
from awards.services import revoking
from outbox.models import HandledAs
from tests.awards.given import a_campaign, a_draw, a_gift
from tests.awards.test_closed_by_hand import discard, fail, handle, reopen

pytestmark = pytest.mark.django_db(transaction=True)


def spent_of(award: Award) -> Decimal:
    return Campaign.objects.values_list("spent_money", flat=True).get(pk=award.prize.campaign_id)


@pytest.mark.parametrize(
    ("close", "spent"),
    [
        (discard, "0.00"),
        (lambda award: handle(award, HandledAs.NOT_DUE), "0.00"),
        (lambda award: handle(award, HandledAs.COMPENSATED), "12.50"),
        (handle, "12.50"),
    ],
    ids=["discarded", "not due", "compensated", "issued"],
)
def test_what_is_not_given_out_is_not_spent_and_reopened_it_is_again(close, spent):
    campaign = a_campaign(budget_money=Decimal(20))
    a_gift(campaign, stock=1)
    award = a_draw(campaign).award
    assert spent_of(award) == Decimal("12.50")

    message = close(award)
    assert spent_of(award) == Decimal(spent)

    reopen(message)
    assert spent_of(award) == Decimal("12.50")


def test_a_revoked_award_that_was_issued_all_the_same_is_spent_after_all():
    campaign = a_campaign(budget_money=Decimal(20))
    a_gift(campaign, stock=1)
    award = a_draw(campaign).award
    fail(award)
    revoking.revoke(Award.objects.select_related("prize__campaign").get(), actor="ada")
    assert spent_of(award) == 0

    handle(award)

    assert spent_of(award) == Decimal("12.50")
