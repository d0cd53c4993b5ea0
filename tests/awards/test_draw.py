from datetime import timedelta

import pytest
from django.db import transaction

from awards.errors import (
    AwardChanged,
    CampaignInactive,
    CampaignNotBegun,
    CampaignOver,
    LimitReached,
    RequestReused,
    SoldOut,
)
from awards.listeners import ISSUED_BY
from awards.models import Award, AwardStatus, Draw, Kind, Participation, Prize
from awards.services.revoking import revoke
from outbox import Message
from tests.awards.given import LISTENERS, Sequence, a_campaign, a_coupon_prize, a_draw, a_gift, message_of, points

pytestmark = pytest.mark.django_db


def published() -> set[tuple[str, str]]:
    """Return topic and key of what was published, having checked that each of its consumers has its row."""
    written: dict[tuple[str, str], list[str]] = {}
    for topic, key, consumer in Message.objects.order_by("consumer").values_list("topic", "key", "consumer"):
        written.setdefault((topic, key), []).append(consumer)
    for (topic, _key), consumers in written.items():
        assert consumers == sorted([*LISTENERS, ISSUED_BY[Kind(topic.rpartition(".")[2])]])
    return set(written)


def nothing_was_written() -> bool:
    tables = (Draw, Award, Participation, Message)
    return not any(table.objects.exists() for table in tables)


def test_a_winning_draw_leaves_draw_award_and_message_together():
    campaign = a_campaign()
    prize = a_gift(campaign, stock=3)

    drawn = a_draw(campaign, "Anna@Example.com")

    award = Award.objects.get()
    message = message_of(award)
    assert (award.draw, award.prize, award.person, award.status) == (drawn, prize, "anna@example.com", "won")
    assert (award.kind, award.value, award.vendor_sku) == ("gift", prize.value, prize.vendor_sku)
    assert (message.topic, message.key, message.consumer) == ("award.won.gift", str(award.pk), "awards.order_gift")
    assert message.payload == {
        "award": award.pk,
        "person": "anna@example.com",
        "prize": "Gift MUG-01",
        "value": "12.50",
        "language": "",
    }
    assert Prize.objects.get().stock == 2


def test_a_losing_draw_leaves_a_draw_and_no_message():
    campaign = a_campaign(losing_weight=1)
    prize = a_gift(campaign, stock=3, weight=1)

    drawn = a_draw(campaign, luck=Sequence(0))

    assert drawn.won is None
    assert Draw.objects.get().won is None
    assert not Award.objects.exists()
    assert not Message.objects.exists()
    assert Prize.objects.get(pk=prize.pk).stock == 3


def test_what_is_won_stays_what_it_was_when_the_prize_is_changed_later():
    campaign = a_campaign()
    prize = points(campaign, 50)
    award = a_draw(campaign).award

    Prize.objects.filter(pk=prize.pk).update(value=1)

    assert Award.objects.get(pk=award.pk).points == 50


def test_the_same_request_gets_the_same_answer_even_when_the_campaign_is_over():
    campaign = a_campaign(draws_per_person=1)
    points(campaign)
    first = a_draw(campaign, "anna", "request-1")
    type(campaign).objects.update(active=False)

    again = a_draw(campaign, " anna ", "request-1")

    assert (again.pk, again.award.pk, again.repeated, first.repeated) == (first.pk, first.award.pk, True, False)
    assert Award.objects.count() == 1
    assert published() == {("award.won.points", str(first.award.pk))}


def test_the_same_request_with_other_data_is_refused_and_changes_nothing():
    campaign = a_campaign()
    points(campaign)
    a_draw(campaign, "anna", "request-1")

    with pytest.raises(RequestReused):
        a_draw(campaign, "bertha", "request-1")

    assert Draw.objects.count() == 1


def test_the_same_request_id_in_another_campaign_is_another_draw():
    first, second = a_campaign("first"), a_campaign("second")
    points(first)
    points(second)

    drawn = {a_draw(campaign, "anna", "request-1").pk for campaign in (first, second)}

    assert len(drawn) == 2


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"active": False}, CampaignInactive),
        ({"starts_at": timedelta(minutes=30)}, CampaignNotBegun),
        ({"ends_at": timedelta(minutes=-30)}, CampaignOver),
    ],
)
def test_a_campaign_that_is_not_running_refuses_and_nothing_is_written(fields, refusal):
    campaign = a_campaign(**fields)
    points(campaign)

    with pytest.raises(refusal):
        a_draw(campaign)

    assert nothing_was_written()


def test_a_campaign_is_read_again_so_that_a_stale_one_does_not_let_anybody_draw():
    campaign = a_campaign()
    points(campaign)
    type(campaign).objects.update(active=False)

    with pytest.raises(CampaignInactive):
        a_draw(campaign)


def test_nobody_draws_more_often_than_the_campaign_allows():
    campaign = a_campaign(draws_per_person=2)
    points(campaign)
    a_draw(campaign, "anna@example.com")
    a_draw(campaign, "ANNA@example.com")

    with pytest.raises(LimitReached):
        a_draw(campaign, " anna@example.com")
    bertha = a_draw(campaign, "bertha")

    assert bertha.award
    assert Draw.objects.filter(person="anna@example.com").count() == 2


def test_a_limit_set_later_counts_the_draws_before_it():
    campaign = a_campaign()
    points(campaign)
    a_draw(campaign, "anna")
    type(campaign).objects.update(draws_per_person=1)

    with pytest.raises(LimitReached):
        a_draw(campaign, "anna")


def test_a_prize_that_is_sold_out_leaves_its_place_to_the_others():
    campaign = a_campaign()
    a_gift(campaign, stock=1, weight=1_000_000)
    points(campaign, 50, weight=1)

    won = [a_draw(campaign, luck=Sequence(0)).award.kind for _ in range(3)]

    assert won == ["gift", "points", "points"]
    assert Prize.objects.get(kind="gift").stock == 0


def test_a_prize_that_others_took_between_reading_and_taking_is_drawn_again(monkeypatch):
    campaign = a_campaign()
    a_gift(campaign, stock=1, weight=1)
    points(campaign, 50, weight=1)
    take = type(Prize.objects.all()).take

    def others_are_faster(queryset, prize, today):
        Prize.objects.filter(kind="gift").update(stock=0)
        return take(queryset, prize, today)

    monkeypatch.setattr(type(Prize.objects.all()), "take", others_are_faster)
    drawn = a_draw(campaign, luck=Sequence(0, 0))

    assert drawn.award.kind == "points"
    assert Prize.objects.get(kind="gift").stock == 0


@pytest.mark.parametrize("losing_weight", [0, 100])
def test_with_every_prize_gone_the_draw_is_refused_and_does_not_count(losing_weight):
    campaign = a_campaign(losing_weight=losing_weight, draws_per_person=1)
    a_gift(campaign, stock=0)

    with pytest.raises(SoldOut):
        a_draw(campaign)

    assert nothing_was_written()


def test_business_row_and_message_row_stand_or_fall_together():
    """I1, when the caller's own transaction is rolled back around the draw."""
    campaign = a_campaign()
    a_gift(campaign, stock=1)

    def draw_and_fail():
        with transaction.atomic():
            a_draw(campaign)
            raise KeyError

    with pytest.raises(KeyError):
        draw_and_fail()

    assert nothing_was_written()
    assert Prize.objects.get().stock == 1


@pytest.mark.parametrize("broken", ["publish_many", "Award.save"])
def test_when_one_of_the_writes_fails_none_of_them_stays(broken, monkeypatch):
    """I1, when the draw itself fails half-way."""
    campaign = a_campaign()
    a_gift(campaign, stock=1)

    def fails(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(f"awards.services.awarding.{broken}", fails)
    with pytest.raises(ZeroDivisionError):
        a_draw(campaign)

    assert nothing_was_written()
    assert Prize.objects.get().stock == 1


def test_every_award_has_exactly_one_message_per_consumer_of_its_topic():
    """I1, over a campaign with everything in it."""
    campaign = a_campaign(losing_weight=3)
    points(campaign, 50, weight=3)
    a_gift(campaign, weight=3, stock=2)
    a_coupon_prize(campaign, weight=3, stock=4)
    for number in range(30):
        a_draw(campaign, luck=Sequence(number % 12))

    won = {(f"award.won.{award.kind}", str(award.pk)) for award in Award.objects.all()}

    assert len(won) == 30 - Draw.objects.filter(award=None).count()
    assert {kind for kind, _key in won} == {"award.won.points", "award.won.gift", "award.won.coupon"}
    assert published() == won


def test_a_won_award_can_be_revoked_once():
    campaign = a_campaign()
    points(campaign)
    award = a_draw(campaign).award

    revoke(award, actor="ada")
    with pytest.raises(AwardChanged):
        revoke(award, actor="ada")

    award.refresh_from_db()
    assert (award.status, award.version, message_of(award).resolution) == (AwardStatus.REVOKED, 2, "withdrawn")
