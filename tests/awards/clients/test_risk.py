"""What stands before luck: each refusal has its code, is counted, and draws nothing."""

import logging

import pytest
from django.utils import timezone

from awards.models import AddressCount, Block, Draw, Participation, Refusal
from tests.awards.clients.given import a_client, a_closed_campaign
from tests.awards.given import points
from tests.awards.test_api import post, told

pytestmark = pytest.mark.django_db


def refuse_bots(*, campaign, person, address, client):
    assert (campaign, address, client) == ("raffle", "127.0.0.1", "")
    return "is_a_bot" if person == "bot" else None


def answer_nonsense(*, person, **_others):
    return True


def break_down(**_asked):
    raise OSError("the scoring service is away")


def draw(person="anna", key="request-1", **headers):
    return post({"person": person}, key=key, **headers)


@pytest.mark.parametrize(("kind", "subject"), [("person", "anna"), ("address", "127.0.0.1")])
def test_who_is_blocked_draws_nothing_and_it_is_counted(kind, subject):
    points(a_closed_campaign(access="open"))
    Block.objects.create(kind=kind, subject=subject, reason="a test", blocked_by="maria")

    assert told(draw()) == (403, "blocked")
    assert list(Refusal.objects.values_list("code", "times")) == [("blocked", 1)]
    assert not Draw.objects.exists()
    assert not Participation.objects.exists()


def test_a_block_that_is_over_and_one_of_somebody_else_stop_nobody():
    points(a_closed_campaign(access="open"))
    Block.objects.create(kind="person", subject="anna", reason="x", blocked_by="maria", until=timezone.now())
    Block.objects.create(kind="person", subject="bertha", reason="x", blocked_by="maria")

    assert draw().status_code == 201


def test_the_limit_of_an_address_holds_and_an_answer_given_before_is_given_again():
    points(a_closed_campaign(access="open", draws_per_address=2))
    for turn in range(2):
        draw(f"person {turn}", key=f"request-{turn}")

    assert told(draw("person 2", key="request-2")) == (429, "too_many_from_address")
    assert draw("person 0", key="request-0").status_code == 200
    assert list(Refusal.objects.values_list("code", "times")) == [("too_many_from_address", 1)]
    assert "127.0.0.1" not in str(AddressCount.objects.values().get())


def test_the_limit_of_an_address_is_not_that_of_a_shop_s_server():
    points(a_closed_campaign(draws_per_address=1))
    _client, key = a_client()

    assert {draw("anna", key=f"request-{turn}", Authorization=key).status_code for turn in range(3)} == {201}


def test_the_next_hour_brings_more_and_forgets_the_last():
    campaign = a_closed_campaign(access="open", draws_per_address=1)
    points(campaign)
    draw("anna")
    AddressCount.objects.update(hour=timezone.now() - timezone.timedelta(hours=2))

    assert draw("bertha", key="request-2").status_code == 201
    assert AddressCount.objects.count() == 1


def test_the_project_s_own_check_refuses_by_a_code_of_its_own(settings):
    settings.RISK_CHECK = f"{__name__}.refuse_bots"
    points(a_closed_campaign(access="open"))

    assert draw("anna").status_code == 201
    assert told(draw("bot", key="request-2")) == (403, "is_a_bot")
    assert list(Refusal.objects.values_list("code", "times")) == [("is_a_bot", 1)]


@pytest.mark.parametrize("check", ["answer_nonsense", "break_down"])
def test_a_check_that_fails_or_answers_nonsense_lets_nobody_draw(settings, check, caplog):
    settings.RISK_CHECK = f"{__name__}.{check}"
    points(a_closed_campaign(access="open"))

    with caplog.at_level(logging.ERROR, "awards.clients"):
        assert told(draw()) == (503, "risk_check_failed")

    assert not Draw.objects.exists()
    assert [each.name for each in caplog.records].count("awards.clients") == 1


def test_refusals_of_a_campaign_are_counted_by_day_and_code():
    points(a_closed_campaign(access="open", draws_per_person=1))

    answers = [draw("anna", key=f"request-{turn}").status_code for turn in range(4)]

    assert answers == [201, 409, 409, 409]
    assert list(Refusal.objects.values_list("code", "times")) == [("limit_reached", 3)]
