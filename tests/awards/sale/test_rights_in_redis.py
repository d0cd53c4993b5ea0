"""Who has no right to draw holds no piece of a stock in Redis: he is asked first, and draws once at a time."""

import uuid

import pytest
from redis.exceptions import RedisError

from awards.errors import (
    DailyLimitReached,
    DrawRefused,
    EntitlementUsed,
    EntitlementWithdrawn,
    LimitReached,
    NotEntitled,
    RequestUnderWay,
    SaleUnavailable,
)
from awards.models import Campaign, Draw, Entitlement, Prize
from awards.sale import redis_stock, warming
from awards.sale.drawing import draw_from_redis
from awards.services.sales import close_for_warming
from outbox.models import Half
from tests.awards.clients.given import an_entitlement
from tests.awards.given import Highest
from tests.awards.sale.given import a_sale, draw, failing, found, pieces_left
from tests.awards.test_draw_races import at_once

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 8


def left(campaign: Campaign) -> int:
    return len(pieces_left(campaign.sale, Prize.objects.get().pk))


def draw_with(entitlement: Entitlement) -> Draw:
    return draw_from_redis(
        found(), person=entitlement.person, request_id=str(uuid.uuid4()), luck=Highest(), entitlement=entitlement
    )


def test_who_has_no_right_takes_nothing_and_can_draw_as_soon_as_he_has_one(redis):
    campaign = a_sale(pieces=3, access="link", needs_entitlement=True, draws_per_person=2)

    for _ in range(5):
        with pytest.raises(NotEntitled):
            draw(campaign, "late@example.com")
    assert (left(campaign), Half.objects.count()) == (3, 0)
    an_entitlement(campaign, "late@example.com")

    assert draw(campaign, "late@example.com").award.piece == 1
    assert left(campaign) == 2


def test_a_right_that_was_used_or_taken_back_takes_nothing(redis):
    campaign = a_sale(pieces=3)
    used, withdrawn = an_entitlement(campaign), an_entitlement(campaign)
    Entitlement.objects.filter(pk=withdrawn.pk).withdraw()
    draw_with(used)

    with pytest.raises(EntitlementUsed):
        draw_with(used)
    with pytest.raises(EntitlementWithdrawn):
        draw_with(withdrawn)

    assert (left(campaign), Half.objects.count()) == (2, 1)


@pytest.mark.services
@pytest.mark.parametrize("named", [True, False])
def test_one_right_that_is_used_many_times_at_once_holds_one_piece(redis, named):
    campaign = a_sale(pieces=THREADS, access="link", needs_entitlement=True)
    entitlement = an_entitlement(campaign)

    one = (lambda: draw_with(entitlement)) if named else (lambda: draw(found(), entitlement.person))
    answers = at_once(*[one] * THREADS)

    assert sum(isinstance(answer, Draw) for answer in answers) == 1
    refused = {type(answer) for answer in answers if not isinstance(answer, Draw)}
    assert refused <= {EntitlementUsed, NotEntitled, RequestUnderWay}
    assert (left(campaign), Half.objects.count()) == (THREADS - 1, 1)


@pytest.mark.services
def test_all_rights_of_a_person_can_be_used_at_once(redis):
    campaign = a_sale(pieces=5, access="link", needs_entitlement=True)
    for _ in range(3):
        an_entitlement(campaign)

    answers = at_once(*[lambda: draw(found(), "anna@example.com")] * 3)

    assert [type(answer) for answer in answers] == [Draw] * 3
    assert left(campaign) == 2


def test_who_has_drawn_today_takes_nothing(redis):
    campaign = a_sale(pieces=3, draws_per_day=1)
    draw(campaign)

    with pytest.raises(DailyLimitReached):
        draw(campaign)

    assert (left(campaign), Half.objects.count()) == (2, 1)


def test_who_has_drawn_all_takes_nothing_of_a_stock_that_was_counted_once_more(redis):
    campaign = a_sale(pieces=3, draws_per_person=1)
    draw(campaign)
    close_for_warming(campaign.sale, "by command")
    warming.warm(campaign.sale.pk)

    with pytest.raises(LimitReached):
        draw(found())

    assert (left(found()), Half.objects.count()) == (2, 1)


def test_a_person_s_turn_ends_by_itself_where_the_draw_was_killed(redis):
    campaign = a_sale(pieces=3, access="link", needs_entitlement=True)
    an_entitlement(campaign)
    asker = redis_stock.Asker(request_id="killed", person="anna@example.com", limit=None)
    assert redis_stock.take_turn(campaign.sale, asker, uuid.uuid4())

    with pytest.raises(RequestUnderWay):
        draw(campaign, "anna@example.com")

    [turn] = redis.client.keys("*:turn:*")
    assert 0 < redis.client.pttl(turn) <= 20_000
    assert left(campaign) == 3
    redis.client.delete(turn)
    assert draw(campaign, "anna@example.com").award.piece == 1


def test_a_draw_that_was_refused_ends_the_person_s_turn(redis):
    campaign = a_sale(pieces=3, access="link", needs_entitlement=True)
    an_entitlement(campaign)

    with failing("awards.sale.drawing.draws.write_draw", DrawRefused("no")), pytest.raises(DrawRefused):
        draw(campaign, "anna@example.com")

    assert redis.client.keys("*:turn:*") == []


def test_without_redis_nobody_gets_a_turn(redis):
    campaign = a_sale(pieces=3, access="link", needs_entitlement=True)
    an_entitlement(campaign)

    with failing("awards.sale.redis_stock.take_turn", RedisError("gone")), pytest.raises(SaleUnavailable):
        draw(campaign, "anna@example.com")
