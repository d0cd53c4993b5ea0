"""The report a campaign is managed by."""

from decimal import Decimal
from fractions import Fraction

import pytest
from django.db.models import F
from hypothesis import given
from hypothesis import strategies as st

from awards.claims.claiming import claim
from awards.consumers import count_win, issue_points
from awards.listeners import CLAIMABLE_COUNTED_BY, COUNTED_BY, ISSUED_BY
from awards.models import Award, Campaign, Kind, Prize
from awards.selectors import campaign_report
from awards.selectors.campaign_report import chances, report_campaign
from awards.services.revoking import revoke
from outbox import Message, registry
from tests.awards.claims.given import ANNA
from tests.awards.given import (
    LISTENERS,
    a_campaign,
    a_coupon_prize,
    a_draw,
    a_gift,
    fill_pool,
    message_of,
    points,
)

pytestmark = pytest.mark.django_db


def lines_of(campaign: Campaign) -> dict[str, campaign_report.PrizeLine]:
    return {line.prize.name: line for line in report_campaign(campaign).lines}


def count_everything() -> None:
    waiting = Message.objects.filter(consumer__in=[COUNTED_BY, CLAIMABLE_COUNTED_BY], status="pending")
    count_win(list(waiting))
    waiting.update(status="success", finished_at=F("created_at"))


prizes = st.lists(st.tuples(st.integers(0, 1000), st.none() | st.integers(0, 3)), max_size=8)


@given(prizes, st.integers(0, 1000))
def test_chances_and_the_losing_ticket_are_one_whole_and_go_by_weight(rows, losing):
    prizes = [Prize(pk=number, weight=weight, stock=stock) for number, (weight, stock) in enumerate(rows)]

    odds = chances(prizes, losing)

    live = {prize.pk: prize.weight for prize in prizes if prize.weight and prize.stock != 0}
    assert {pk for pk, chance in odds.items() if chance} == set(live)
    if live:
        total = sum(live.values()) + losing
        assert sum(odds.values()) + Fraction(losing, total) == 1
        assert all(odds[pk] * total == weight for pk, weight in live.items())


def test_points_and_money_are_never_added_up():
    campaign = a_campaign(losing_weight=50)
    points(campaign, 100, weight=30, stock=10)
    a_gift(campaign, weight=10, stock=4)
    a_coupon_prize(campaign, weight=10, value=Decimal(20), stock=None)

    found = report_campaign(campaign)

    assert found.expected == campaign_report.Worth(points=Decimal(30), money=Decimal("3.25"))
    assert found.at_stake == campaign_report.Worth(points=Decimal(1000), money=Decimal(50), endless=True)
    assert found.losing_percent == 50
    assert {line.prize.kind: line.percent for line in found.lines} == {"points": 30, "gift": 10, "coupon": 10}


def test_with_nothing_left_to_win_nothing_is_expected():
    campaign = a_campaign(losing_weight=50)
    a_gift(campaign, stock=0)

    found = report_campaign(campaign)

    assert (found.drawable, found.losing_percent, found.expected.money) == (False, 0, 0)


def test_awards_are_shown_as_won_issued_waiting_failed_and_taken_back():
    campaign = a_campaign()
    prize = points(campaign, 10)
    issued, _waiting, failed, revoked = (a_draw(campaign, f"person {turn}").award for turn in range(4))
    revoke(revoked, actor="ada")
    issue_points(message_of(issued))
    finish(message_of(issued))
    fail(message_of(failed))
    count_everything()

    line = lines_of(campaign)["10 points"]

    assert (line.won, line.issued, line.waiting, line.failed, line.revoked) == (4, 1, 1, 1, 1)
    assert line.prize == prize


def finish(message: Message) -> None:
    """Settle a message as a success, as the table has it."""
    Message.objects.filter(pk=message.pk).update(status="success", finished_at=message.created_at)


def fail(message: Message) -> None:
    """Let the machine give up on a message, as the table has it."""
    Message.objects.filter(pk=message.pk).update(
        status="failed", finished_at=message.created_at, exhausted_at=message.created_at
    )


def test_what_was_settled_by_hand_counts_as_issued():
    campaign = a_campaign()
    points(campaign, 10)
    message = message_of(a_draw(campaign).award)
    Message.objects.filter(pk=message.pk).update(status="success", resolution="handled", finished_at=message.created_at)
    count_everything()

    assert lines_of(campaign)["10 points"].issued == 1


def test_what_waits_to_be_counted_is_won_all_the_same_and_told_apart():
    campaign = a_campaign()
    points(campaign, 10)
    a_draw(campaign)
    count_everything()
    issue_points(message_of(a_draw(campaign).award))

    line = lines_of(campaign)["10 points"]

    assert (line.won, line.uncounted, line.issued, line.waiting) == (2, 1, 1, 1)


def test_what_must_be_claimed_is_won_once_however_far_it_has_come():
    campaign = a_campaign()
    a_gift(campaign, claim_days=3)
    award = a_draw(campaign).award
    won = [lines_of(campaign)["Gift MUG-01"]]
    count_everything()
    claim(award, ANNA)
    won.append(lines_of(campaign)["Gift MUG-01"])

    assert [(line.won, line.uncounted) for line in won] == [(1, 1), (1, 0)]


def test_a_backlog_that_is_too_long_to_be_looked_at_is_said_so(monkeypatch):
    monkeypatch.setattr(campaign_report, "COUNT_LIMIT", 2)
    campaign = a_campaign()
    points(campaign, 10)
    complete = [report_campaign(campaign).complete for _ in range(3) if a_draw(campaign)]

    assert complete == [True, True, False]


def test_a_pool_must_do_for_the_stock_and_for_what_waits():
    campaign = a_campaign()
    prize = a_coupon_prize(campaign, codes=1, stock=5)
    for turn in range(2):
        a_draw(campaign, f"person {turn}")
    short = lines_of(campaign)["Cinema voucher"].codes_missing
    fill_pool(prize, 4)

    assert (short, lines_of(campaign)["Cinema voucher"].codes_missing) == (4, 0)


def test_a_campaign_is_read_with_a_fixed_number_of_queries(django_assert_max_num_queries):
    campaign = a_campaign()
    for number in range(5):
        points(campaign, 10 + number)
        a_gift(campaign, f"SKU-{number}")
    for turn in range(5):
        a_draw(campaign, f"person {turn}")

    with django_assert_max_num_queries(8):
        report_campaign(campaign)


def test_the_consumers_that_issue_are_those_of_the_code():
    topics = {kind: f"award.won.{kind}" for kind in Kind.values}

    listening = {kind: [each.name for each in registry.consumers_of(topic)] for kind, topic in topics.items()}

    assert listening == {kind: sorted([*LISTENERS, ISSUED_BY[Kind(kind)]]) for kind in Kind.values}
    assert not Award.objects.exists()
