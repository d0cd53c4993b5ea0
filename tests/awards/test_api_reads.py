"""What a shop reads: campaigns and prizes, and a person's draws, awards and points, page by page."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from awards.models import Award, Draw, PointsEntry, Scope
from awards.selectors import people
from awards.services.revoking import revoke
from outbox.testing import deliver_pending
from tests.awards.claims.given import a_claimable
from tests.awards.clients.given import a_closed_campaign
from tests.awards.given import Sequence, a_campaign, a_coupon_prize, a_draw, a_gift, points
from tests.awards.shop import Shop, a_shop

pytestmark = pytest.mark.django_db(transaction=True)

ANNA = "anna@example.com"
LISTS = ("campaigns", "draws?person=anna", "awards?person=anna", "points?person=anna")


@pytest.fixture
def shop() -> Shop:
    return a_shop()


def some_points(times: int, person: str = ANNA) -> None:
    """Let somebody win 50 points so many times."""
    campaign = a_campaign("points")
    points(campaign)
    for _turn in range(times):
        a_draw(campaign, person)
    deliver_pending(ignore_waits=True)


def test_the_campaigns_are_listed_whatever_their_phase_the_newest_first(shop):
    a_campaign("over", ends_at=timedelta(minutes=-1))
    a_campaign("off", active=False)
    a_closed_campaign("running", draws_per_person=3, needs_entitlement=True)

    listed = shop.get("campaigns").body

    assert [(each["campaign"], each["phase"]) for each in listed["campaigns"]] == [
        ("running", "running"),
        ("off", "off"),
        ("over", "over"),
    ]
    assert listed["next"] is None
    first = listed["campaigns"][0]
    assert (first["draws_per_person"], first["draws_per_day"]) == (3, None)
    assert (first["needs_entitlement"], first["access"], first["url"]) == (True, "link", "/campaigns/running/")
    assert shop.get("campaigns/running").body == first


def test_the_prizes_of_a_campaign_say_whether_they_can_still_be_won_and_nothing_of_the_odds(shop):
    campaign = a_campaign()
    points(campaign, 50, weight=9)
    a_gift(campaign, stock=0, claim_days=7, weight=1)
    a_coupon_prize(campaign, name="Too late", weight=2, ends_at=Now() - timedelta(minutes=1))

    prizes = shop.get("campaigns/raffle/prizes").body["prizes"]

    assert [(each["name"], each["available"]) for each in prizes] == [
        ("Gift MUG-01", False),
        ("Too late", False),
        ("50 points", True),
    ]
    assert prizes[0] == {
        "name": "Gift MUG-01",
        "kind": "gift",
        "value": "12.50",
        "available": False,
        "starts_at": None,
        "ends_at": None,
        "claim_days": 7,
    }


def test_a_person_s_draws_are_answered_as_they_were_drawn(shop):
    campaign = a_campaign("one", losing_weight=1)
    points(campaign, weight=1)
    lost, won = a_draw(campaign, ANNA, luck=Sequence(0)), a_draw(campaign, ANNA)
    other = a_campaign("two")
    points(other)
    a_draw(other, ANNA)
    a_draw(campaign, "bertha")

    listed = shop.get("draws", person="Anna@Example.com", campaign="one").body["draws"]

    assert [each["id"] for each in listed] == [str(won.public_id), str(lost.public_id)]
    assert [each["outcome"] for each in listed] == ["won", "lost"]
    assert listed[0]["award"]["url"] == f"/api/awards/{won.award.public_id}"
    assert listed[0]["drawn_at"]
    assert len(shop.get("draws", person=ANNA).body["draws"]) == 3


def test_a_person_s_awards_say_how_they_stand(shop):
    some_points(1)
    waiting = a_claimable(ANNA)

    gift, credited = shop.get("awards", person=ANNA).body["awards"]

    assert (gift["status"], gift["campaign"]) == ("won", waiting.prize.campaign.slug)
    assert (gift["claim_until"], gift["claimed_at"]) == (waiting.claim_until.isoformat(), None)
    assert (credited["status"], credited["points_entry"]["points"]) == ("issued", 50)
    assert {name: credited[name] for name in shop.get(credited["url"].removeprefix("/api/")).body} == shop.get(
        credited["url"].removeprefix("/api/")
    ).body


def test_a_person_s_points_are_the_sum_of_the_lines_and_a_counter_entry_names_its_award(shop):
    some_points(2)
    taken = Award.objects.select_related("prize__campaign").latest("pk")
    revoke(taken, actor="ada", reason="a test")

    account = shop.get("points", person=ANNA).body

    assert (account["person"], account["balance"]) == (ANNA, 50)
    assert [line["points"] for line in account["entries"]] == [-50, 50, 50]
    assert account["entries"][0]["award"] == account["entries"][1]["award"] == str(taken.public_id)
    assert shop.get("points", person="nobody").body == {
        "person": "nobody",
        "balance": 0,
        "entries": [],
        "next": None,
    }


def test_where_a_campaign_leaves_tags_out_of_addresses_they_may_be_asked_with(shop):
    campaign = a_campaign(ignores_tags=True)
    points(campaign)
    a_draw(campaign, "anna+shop@example.com")

    assert len(shop.get("draws", person="anna+shop@example.com", campaign="raffle").body["draws"]) == 1
    assert shop.get("draws", person="anna+shop@example.com").body["draws"] == []


@pytest.mark.parametrize(("path", "name"), [("draws", "draws"), ("awards", "awards"), ("points", "entries")])
def test_page_after_page_each_row_comes_once(shop, monkeypatch, path, name):
    monkeypatch.setattr(people, "PER_PAGE", 2)
    some_points(5)

    pages = [shop.get(path, person=ANNA).body]
    while pages[-1]["next"]:
        pages.append(shop.get(path, person=ANNA, after=pages[-1]["next"]).body)

    ids = [row["id"] for page in pages for row in page[name]]
    assert [len(page[name]) for page in pages] == [2, 2, 1]
    assert len(set(ids)) == 5


def test_the_campaigns_come_page_after_page_too(shop, monkeypatch):
    monkeypatch.setattr(people, "PER_PAGE", 1)
    a_campaign("one"), a_campaign("two")

    first = shop.get("campaigns").body
    second = shop.get("campaigns", after=first["next"]).body

    assert [first["campaigns"][0]["campaign"], second["campaigns"][0]["campaign"]] == ["two", "one"]
    assert second["next"] is None


def test_a_page_of_somebody_else_s_is_none_of_this_person_s(shop):
    some_points(1, "bertha")
    drawn, award, line = Draw.objects.get(), Award.objects.get(), PointsEntry.objects.get()

    for path, after in (("draws", drawn.public_id), ("awards", award.public_id), ("points", line.transfer)):
        assert shop.get(path, person=ANNA, after=str(after)).refusal == (404, "unknown_page")
    assert shop.get("draws", person=ANNA, after="none").refusal == (400, "wrong_query")
    assert shop.get("draws", person=ANNA, after="abc").refusal == (404, "unknown_page")


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ({}, (400, "wrong_query")),
        ({"person": ""}, (400, "invalid_person")),
        ({"person": "an\u200bna"}, (400, "invalid_person")),
        ({"person": "a\0b"}, (400, "invalid_person")),
        ({"person": "anna", "campaign": "none"}, (404, "unknown_campaign")),
        ({"person": "anna", "campaign": "a b"}, (400, "wrong_query")),
        ({"person": "anna", "limit": "5"}, (400, "wrong_query")),
    ],
)
def test_what_cannot_be_asked_is_told(shop, query, refusal):
    assert shop.get("draws", **query).refusal == refusal


@pytest.mark.parametrize("path", LISTS)
def test_reading_takes_a_key_that_is_for_it(path):
    a_campaign()

    assert Client().get(f"/api/{path}").json()["code"] == "key_missing"
    assert a_shop(Scope.DRAW, Scope.ENTITLE, Scope.CLAIM).get(path).refusal == (403, "scope_missing")
    assert a_shop(Scope.READ).get(path).status == 200


def test_a_key_for_reading_alone_does_nothing_else():
    points(a_closed_campaign())
    award = a_claimable()
    reader = a_shop(Scope.READ)
    key = {"Idempotency-Key": "1"}

    assert reader.post("campaigns/raffle/draws", {"person": "a"}, **key).refusal == (403, "scope_missing")
    assert reader.post("campaigns/raffle/entitlements", {"person": "a", "source": "b"}).refusal[1] == "scope_missing"
    assert reader.post(f"awards/{award.public_id}/claim", {}).refusal[1] == "scope_missing"


@pytest.mark.parametrize("path", [*LISTS, "campaigns/raffle", "campaigns/raffle/prizes"])
def test_what_is_read_changes_nothing_and_nobody_keeps_it(shop, path):
    a_campaign()

    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = shop.call(method, path, {})
        assert answer.refusal == (405, "method_not_allowed")
        assert answer.headers["Allow"] == "GET, HEAD"
    assert shop.call("HEAD", path).status == 200
    assert shop.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["campaigns", "draws", "awards", "points"])
def test_a_page_asks_as_much_however_much_there_is(shop, path):
    query = {} if path == "campaigns" else {"person": ANNA}
    some_points(1)
    few = statements_of(shop, path, query)
    for number in range(5):
        a_claimable(ANNA)
        more = a_campaign(f"more-{number}", losing_weight=1)
        points(more)
        a_draw(more, ANNA, luck=Sequence(0))

    assert statements_of(shop, path, query) == few


def statements_of(shop: Shop, path: str, query: dict[str, str]) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert shop.get(path, **query).status == 200
    return len(asked)
