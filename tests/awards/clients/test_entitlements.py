"""Rights to draw: one draw each, whatever is asked for at the same moment."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from awards.clients.entitlements import give
from awards.errors import (
    DailyLimitReached,
    EntitlementExpired,
    EntitlementUsed,
    InvalidPerson,
    LimitReached,
    NotEntitled,
    SoldOut,
    SourceTaken,
)
from awards.models import Draw, Entitlement, Participation, Scope
from awards.services import draws
from tests.awards.clients.given import a_client, a_closed_campaign, an_entitlement
from tests.awards.given import Highest, a_draw, a_gift, points
from tests.awards.test_api import client, post, told
from tests.awards.test_draw_races import at_once

AT_ONCE = 50
GIVE = "/api/campaigns/raffle/entitlements"


def draw_by(entitlement, request_id, person="anna@example.com") -> Draw:
    return draws.draw_ticket(
        entitlement.campaign, person=person, request_id=request_id, luck=Highest(), entitlement=entitlement
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_named", [True, False])
def test_fifty_parallel_draws_on_one_entitlement_are_one_draw(is_named):
    campaign = a_closed_campaign(needs_entitlement=True)
    points(campaign)
    entitlement = an_entitlement(campaign)

    def draw(number):
        if is_named:
            return draw_by(entitlement, f"request-{number}")
        return a_draw(campaign, "anna@example.com", f"request-{number}")

    answers = at_once(*[lambda number=number: draw(number) for number in range(AT_ONCE)])

    drawn = [answer for answer in answers if isinstance(answer, Draw)]
    assert [type(each) for each in answers].count(EntitlementUsed if is_named else NotEntitled) == AT_ONCE - 1
    assert drawn == [Draw.objects.get()] == [Entitlement.objects.get().draw]
    assert Participation.objects.get().draws == 1


@pytest.mark.django_db(transaction=True)
def test_two_entitlements_and_fifty_parallel_draws_are_two_draws():
    campaign = a_closed_campaign(needs_entitlement=True)
    points(campaign)
    for _ in range(2):
        an_entitlement(campaign)

    at_once(*[lambda number=number: a_draw(campaign, request_id=f"request-{number}") for number in range(AT_ONCE)])

    assert set(Entitlement.objects.values_list("draw", flat=True)) == set(Draw.objects.values_list("pk", flat=True))
    assert Draw.objects.count() == 2


@pytest.mark.django_db
class TestOne:
    def test_a_repeated_request_gets_its_draw_again_and_uses_nothing_more(self):
        campaign = a_closed_campaign(needs_entitlement=True)
        points(campaign)
        for _ in range(2):
            an_entitlement(campaign)

        drawn = [a_draw(campaign, request_id="request-1") for _ in range(2)]

        assert drawn[0] == drawn[1]
        assert Entitlement.objects.usable().count() == 1

    def test_a_draw_that_is_refused_uses_nothing(self):
        campaign = a_closed_campaign(needs_entitlement=True)
        a_gift(campaign, stock=0)
        an_entitlement(campaign)

        with pytest.raises(SoldOut):
            a_draw(campaign)

        assert Entitlement.objects.usable().count() == 1

    def test_the_one_that_ends_first_is_used_first(self):
        campaign = a_closed_campaign(needs_entitlement=True)
        points(campaign)
        endless, later, sooner = (
            an_entitlement(campaign, expires_at=at and campaign.ends_at + at)
            for at in (None, timedelta(days=2), timedelta(days=1))
        )

        drawn = [a_draw(campaign) for _ in range(3)]

        assert [each.entitlement for each in drawn] == [sooner, later, endless]

    def test_one_that_is_over_another_person_s_and_another_campaign_s_are_refused(self):
        campaign, other = a_closed_campaign(), a_closed_campaign("other")
        points(campaign)
        over = an_entitlement(campaign, expires_at=campaign.starts_at)

        with pytest.raises(EntitlementExpired):
            draw_by(over, "request-1")
        with pytest.raises(NotEntitled):
            draw_by(an_entitlement(campaign), "request-2", person="bertha")
        with pytest.raises(NotEntitled):
            draws.draw_ticket(
                campaign,
                person="anna@example.com",
                request_id="request-3",
                luck=Highest(),
                entitlement=an_entitlement(other),
            )
        assert not Draw.objects.exists()

    def test_an_order_earns_one_draw_however_often_it_is_said(self):
        campaign = a_closed_campaign()

        first, new = give(campaign, person="anna", source="order 1", given_by="shop")
        second, again = give(campaign, person="anna", source="order 1", given_by="shop")

        assert (first, new, again) == (second, True, False)
        with pytest.raises(SourceTaken):
            give(campaign, person="bertha", source="order 1", given_by="shop")
        with pytest.raises(InvalidPerson):
            give(campaign, person="", source="order 2", given_by="shop")

    def test_tags_make_no_second_person_where_the_campaign_says_so(self):
        campaign = a_closed_campaign(ignores_tags=True, draws_per_person=1, needs_entitlement=True)
        points(campaign)
        an_entitlement(campaign, "anna+shop@example.com")
        an_entitlement(campaign, "anna@example.com")

        assert a_draw(campaign, "Anna+raffle@Example.com").person == "anna@example.com"
        with pytest.raises(LimitReached):
            a_draw(campaign, "anna+another@example.com")

    def test_tags_make_a_second_person_elsewhere(self):
        campaign = a_closed_campaign(draws_per_person=1)
        points(campaign)

        assert a_draw(campaign, "anna+raffle@example.com").person == "anna+raffle@example.com"
        assert a_draw(campaign, "anna@example.com").person == "anna@example.com"

    def test_the_limit_of_a_day_holds_and_the_next_day_brings_more(self):
        campaign = a_closed_campaign(draws_per_day=2)
        points(campaign)
        for _ in range(2):
            a_draw(campaign, "anna")

        with pytest.raises(DailyLimitReached):
            a_draw(campaign, "anna")
        a_draw(campaign, "bertha")
        Participation.objects.filter(person="anna").update(day=Now() - timedelta(days=1))
        a_draw(campaign, "anna")

        assert Participation.objects.get(person="anna").draws == 3


@pytest.mark.django_db
class TestByTheApi:
    def test_a_shop_gives_a_right_and_gets_a_link_to_send(self):
        campaign = a_closed_campaign()
        points(campaign)
        _client, key = a_client(Scope.ENTITLE)
        asked = {"person": "Anna@example.com", "source": "order 4711"}

        first, again = (post(asked, key=None, path=GIVE, Authorization=key) for _ in range(2))

        content = first.json()
        assert (first.status_code, again.status_code) == (201, 200)
        assert content["id"] == again.json()["id"] == str(Entitlement.objects.get().public_id)
        assert (content["person"], content["source"], content["used"]) == ("anna@example.com", "order 4711", False)
        assert client.get(content["link"]["url"]).status_code == 200

    def test_a_draw_names_the_entitlement_that_it_uses(self):
        campaign = a_closed_campaign()
        points(campaign)
        entitlement = an_entitlement(campaign, "anna")
        _client, key = a_client()
        asked = {"person": "anna", "entitlement": str(entitlement.public_id)}

        answers = [post(asked, key=f"request-{turn}", Authorization=key) for turn in range(2)]

        assert answers[0].status_code == 201
        assert told(answers[1]) == (409, "entitlement_used")

    @pytest.mark.parametrize(
        ("asked", "refusal"),
        [
            ({"person": "anna", "entitlement": "none"}, (409, "not_entitled")),
            ({"person": "anna", "entitlement": "5ebafcbe-d455-4258-bd11-f86e53378776"}, (409, "not_entitled")),
            ({"person": "anna", "entitlement": 5}, (400, "wrong_body")),
        ],
    )
    def test_an_entitlement_that_is_none_is_refused(self, asked, refusal):
        points(a_closed_campaign())
        _client, key = a_client()

        assert told(post(asked, Authorization=key)) == refusal

    @pytest.mark.parametrize(
        ("asked", "refusal"),
        [
            ({"person": "anna"}, (400, "wrong_body")),
            ({"person": "anna", "source": ""}, (400, "wrong_body")),
            ({"person": "anna", "source": "x" * 101}, (400, "wrong_body")),
            ({"person": "anna", "source": "a\u200bb"}, (400, "wrong_body")),
            ({"person": "", "source": "order 1"}, (400, "invalid_person")),
            ({"person": "bertha", "source": "order 0"}, (409, "source_taken")),
        ],
    )
    def test_a_right_that_cannot_be_given_is_refused(self, asked, refusal):
        give(a_closed_campaign(), person="anna", source="order 0", given_by="maria")
        _client, key = a_client(Scope.ENTITLE)

        assert told(post(asked, key=None, path=GIVE, Authorization=key)) == refusal
        assert Entitlement.objects.count() == 1

    def test_nobody_gives_a_right_without_a_key_even_where_the_campaign_is_open(self):
        a_closed_campaign(access="open")

        assert told(post({"person": "a", "source": "b"}, key=None, path=GIVE)) == (401, "key_missing")
        assert told(post({}, path="/api/campaigns/none/entitlements")) == (404, "unknown_campaign")
