"""A shop's server says where a gift goes, once."""

import pytest

from awards.models import Award, Claim, Scope
from outbox import Message
from tests.awards.claims.given import FORM, a_claimable, let_time_pass
from tests.awards.given import an_award_of_points
from tests.awards.shop import Shop, a_shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop() -> Shop:
    return a_shop(Scope.CLAIM)


def claim_of(award: Award) -> str:
    return f"awards/{award.public_id}/claim"


def test_a_claim_has_the_gift_sent_and_the_same_again_is_answered_as_before(shop):
    award = a_claimable()

    first, again = (shop.post(claim_of(award), FORM) for _ in range(2))

    assert first.status == again.status == 200
    assert first.body == again.body
    assert first.body["claimed_at"]
    assert Claim.objects.get().street == "Lindenallee 7"
    assert Message.objects.filter(topic="award.won.gift", consumer="awards.order_gift").count() == 1


def test_another_address_comes_too_late_and_the_first_stands(shop):
    award = a_claimable()
    shop.post(claim_of(award), FORM)

    answer = shop.post(claim_of(award), {**FORM, "city": "Halle"})

    assert answer.refusal == (409, "already_claimed")
    assert Claim.objects.get().city == "Leipzig"


def test_when_the_time_is_over_and_where_there_is_nothing_to_claim_it_is_refused(shop):
    late = a_claimable()
    let_time_pass(late)

    assert shop.post(claim_of(late), FORM).refusal == (409, "claim_expired")
    assert shop.post(claim_of(an_award_of_points()), FORM).refusal == (409, "nothing_to_claim")
    assert not Claim.objects.exists()


@pytest.mark.parametrize(
    ("change", "refusal", "named"),
    [
        ({"postcode": "?"}, (422, "wrong_address"), "postcode"),
        ({"name": "7"}, (422, "wrong_address"), "name"),
        ({"city": "Leip\u200bzig"}, (422, "wrong_address"), "city"),
        ({"street": "x" * 151}, (422, "wrong_address"), "street"),
        ({"phone": "call me"}, (422, "wrong_address"), "phone"),
        ({"country": None}, (400, "wrong_body"), "country"),
        ({"house": "7"}, (400, "wrong_body"), "house"),
    ],
)
def test_an_address_that_nobody_could_deliver_to_is_refused_and_says_which_line(shop, change, refusal, named):
    answer = shop.post(claim_of(a_claimable()), {**FORM, **change})

    assert answer.refusal == refusal
    assert named in answer.body["detail"]
    assert not Claim.objects.exists()


def test_the_address_stands_in_no_refusal(shop):
    answer = shop.post(claim_of(a_claimable()), {**FORM, "postcode": "?"})

    assert "Lindenallee" not in str(answer.body)


def test_an_award_that_nobody_knows_is_none(shop):
    assert shop.post("awards/5ebafcbe-d455-4258-bd11-f86e53378776/claim", FORM).refusal == (404, "unknown_award")
