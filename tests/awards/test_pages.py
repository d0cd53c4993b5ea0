"""The public pages, without JavaScript: what somebody sees who draws."""

import re
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from awards.consumers import issue_points
from awards.models import Award, AwardStatus, Draw, VendorOrder
from tests.awards.given import (
    Sequence,
    a_campaign,
    a_draw,
    a_gift,
    an_award_of_a_coupon,
    an_award_of_a_gift,
    an_award_of_points,
    hand_out,
    message_of,
    points,
)

pytestmark = pytest.mark.django_db

PAGE = "/campaigns/raffle/"


def text(response) -> str:
    """Return what a page says, as one line."""
    main = re.search(r"<main.*</main>", response.content.decode(), re.DOTALL).group()
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def request_id_on(client) -> str:
    page = client.get(PAGE).content.decode()
    return re.search(r'name="request_id" value="([^"]+)"', page).group(1)


def test_the_front_page_lists_what_is_running_and_nothing_else(client):
    a_campaign("running", name="Summer raffle")
    a_campaign("off", name="Switched off", active=False)
    a_campaign("over", name="Long over", ends_at=timezone.now() - timedelta(seconds=1))

    page = client.get("/")

    assert "Summer raffle" in text(page)
    assert "Switched off" not in text(page)
    assert "Long over" not in text(page)


def test_the_front_page_says_when_nothing_is_running(client):
    assert "There is no raffle at the moment" in text(client.get("/"))


def test_drawing_leads_to_a_page_that_says_what_was_won_and_how_far_it_has_come(client):
    points(a_campaign())

    posted = client.post(PAGE, {"person": "anna", "request_id": request_id_on(client)})
    on_its_way = text(client.get(posted.url))
    issue_points(message_of(Award.objects.get()))
    issued = text(client.get(posted.url))

    assert posted.status_code == 302
    assert posted.url == f"/draws/{Draw.objects.get().public_id}/"
    assert "You have won 50 points" in on_its_way
    assert "On its way" in on_its_way
    assert "Issued 50 points are in your account." in issued.replace("✓ ", "")


def test_a_double_click_a_reload_and_a_repeat_lead_to_the_same_draw(client):
    points(a_campaign())
    form = {"person": "anna", "request_id": request_id_on(client)}

    addresses = {client.post(PAGE, form).url for _ in range(3)}

    assert len(addresses) == 1
    assert Draw.objects.count() == 1


def test_each_visit_gets_a_form_of_its_own_that_nobody_stores(client):
    points(a_campaign())

    assert request_id_on(client) != request_id_on(client)
    assert "no-store" in client.get(PAGE)["Cache-Control"]


def test_a_form_used_for_somebody_else_says_so_and_offers_a_fresh_one(client):
    points(a_campaign())
    used = request_id_on(client)
    client.post(PAGE, {"person": "anna", "request_id": used})

    page = client.post(PAGE, {"person": "bertha", "request_id": used})

    assert page.status_code == 422
    assert "This request has been used" in text(page)
    assert used not in page.content.decode()
    assert 'value="bertha"' in page.content.decode()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"active": False}, "switched off"),
        ({"starts_at": timedelta(minutes=30)}, "has not begun yet"),
        ({"ends_at": timedelta(minutes=-30)}, "is over"),
    ],
)
def test_a_campaign_that_is_not_running_says_why_and_shows_no_form(client, fields, said):
    points(a_campaign(**fields))

    looked = client.get(PAGE)
    tried = client.post(PAGE, {"person": "anna", "request_id": uuid.uuid4()})

    assert (looked.status_code, tried.status_code) == (200, 409)
    assert said in text(looked)
    assert said in text(tried)
    assert "<form" not in re.search(r"<main.*</main>", looked.content.decode(), re.DOTALL).group()
    assert not Draw.objects.exists()


def test_sold_out_and_the_limit_are_said_plainly(client):
    campaign = a_campaign(draws_per_person=1)
    a_gift(campaign, stock=1)
    client.post(PAGE, {"person": "anna", "request_id": uuid.uuid4()})

    sold_out = client.post(PAGE, {"person": "bertha", "request_id": uuid.uuid4()})
    points(campaign)
    limited = client.post(PAGE, {"person": "anna", "request_id": uuid.uuid4()})

    assert "Sold out: every prize of this campaign has been won." in text(sold_out)
    assert "sold out" in text(limited)
    assert "this campaign gives one to each person" in text(limited)


def test_a_lost_draw_says_so(client):
    campaign = a_campaign(losing_weight=1)
    points(campaign, weight=1)
    lost = a_draw(campaign, luck=Sequence(0))

    assert "No luck this time" in text(client.get(f"/draws/{lost.public_id}/"))


def test_a_gift_on_its_way_shows_the_order_number_once_it_is_issued(client):
    award = an_award_of_a_gift()
    Award.objects.update(status=AwardStatus.ISSUED, issued_at=timezone.now())
    VendorOrder.objects.create(award=award, number="V-7", idempotency_key="key", sku=award.vendor_sku)

    assert "order number V-7" in text(client.get(f"/draws/{award.draw.public_id}/"))


def test_a_code_is_shown_to_whoever_knows_the_draw_s_address_once_it_is_issued_and_not_before(client):
    award = an_award_of_a_coupon()
    address = f"/draws/{award.draw.public_id}/"

    before = client.get(address).content.decode()
    hand_out(award)
    after = client.get(address)

    assert "CODE-0001-ABCD" not in before
    assert "This is your code: CODE-0001-ABCD" in text(after)
    assert '<meta name="robots" content="noindex">' in after.content.decode()
    assert "no-store" in after["Cache-Control"]


def test_whoever_draws_finds_the_way_back_and_nobody_else_does(client):
    campaign = a_campaign()
    points(campaign)
    other = a_campaign("other")
    points(other)
    a_draw(campaign, "somebody else")
    for slug in ("raffle", "raffle", "other"):
        client.post(f"/campaigns/{slug}/", {"person": "anna", "request_id": uuid.uuid4()})
    issue_points(message_of(Award.objects.filter(person="anna").earliest("pk")))

    mine = client.get(PAGE)
    theirs = Client().get(PAGE)

    assert "Your draws 50 points ◔ On its way 50 points ✓ Issued" in text(mine)
    assert mine.content.decode().count('href="/draws/') == 2
    assert "Your draws" not in text(theirs)


def test_a_repeated_request_is_one_line_and_only_the_latest_draws_are_kept(client, monkeypatch):
    monkeypatch.setattr("awards.views.pages.KEPT", 3)
    points(a_campaign())
    same = uuid.uuid4()
    for request_id in [same, same, *(uuid.uuid4() for _ in range(3))]:
        client.post(PAGE, {"person": "anna", "request_id": request_id})

    assert client.get(PAGE).content.decode().count('href="/draws/') == 3
    assert len(client.session["draws"]) == 3


def test_just_looking_leaves_no_session_behind(client):
    points(a_campaign())

    assert "sessionid" not in client.get(PAGE).cookies


def test_a_campaign_that_is_sold_out_says_so_before_anybody_types_a_name(client):
    a_gift(a_campaign(), stock=0)

    page = client.get(PAGE)

    assert "Sold out: every prize of this campaign has been won." in text(page)
    assert "<form" not in re.search(r"<main.*</main>", page.content.decode(), re.DOTALL).group()


def test_a_campaign_that_has_not_begun_or_is_over_says_when(client):
    points(a_campaign("later", starts_at="2098-03-04T05:06:00Z", ends_at="2099-01-01T00:00:00Z"))
    points(a_campaign("past", starts_at="2020-01-01T00:00:00Z", ends_at="2021-03-04T05:06:00Z"))

    assert "has not begun yet. It begins on March 4, 2098, 05:06 UTC" in text(client.get("/campaigns/later/"))
    assert "is over. It ended on March 4, 2021, 05:06 UTC" in text(client.get("/campaigns/past/"))


def test_a_revoked_award_does_not_pretend_to_be_on_its_way(client):
    award = an_award_of_points()
    Award.objects.update(status=AwardStatus.REVOKED)

    page = text(client.get(f"/draws/{award.draw.public_id}/"))

    assert "Revoked" in page
    assert "You had won" in page
    assert "On its way" not in page


@pytest.mark.parametrize("person", ["", "   ", "x" * 201, "a\0b", "a\x1bb", "a\u202eb", "a\u200bb"])
def test_a_name_that_cannot_be_written_down_is_refused_on_the_form(client, person):
    points(a_campaign())

    page = client.post(PAGE, {"person": person, "request_id": uuid.uuid4()})

    assert page.status_code in (400, 422)
    assert not Draw.objects.exists()


@pytest.mark.parametrize("request_id", ["", "forged", "x" * 5000, "a\0b"])
def test_a_forged_request_id_gets_a_fresh_form(client, request_id):
    points(a_campaign())

    page = client.post(PAGE, {"person": "anna", "request_id": request_id})

    assert page.status_code == 400
    assert re.search(r'name="request_id" value="[0-9a-f-]{36}"', page.content.decode())
    assert not Draw.objects.exists()


def test_a_campaigns_own_words_are_text_and_not_markup(client):
    points(a_campaign(name="<script>alert(1)</script>", description="<b>bold</b>"), name="<i>x</i>")

    page = client.get(PAGE).content.decode()

    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert "<i>x" not in page


def test_the_language_can_be_chosen(client):
    a_campaign()

    client.post("/language/", {"language": "zh-hans", "next": "/"})
    page = client.get("/")

    assert "抽奖活动" in text(page)
    assert '<html lang="zh-hans">' in page.content.decode()


def test_a_draw_does_not_show_who_drew(client):
    award = an_award_of_points("anna@example.com")

    assert "anna" not in client.get(f"/draws/{award.draw.public_id}/").content.decode()
