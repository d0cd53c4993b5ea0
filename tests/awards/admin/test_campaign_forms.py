"""What the forms of campaigns and prizes say: which address stays, whose time it is, and what is hardly meant."""

import re
from datetime import UTC, datetime

import pytest
from django.urls import reverse

from awards.models import Campaign, Sale
from tests.awards.admin.test_campaigns_in_the_admin import form_of, page_of, text
from tests.awards.clients.given import an_entitlement
from tests.awards.given import a_campaign, a_draw, a_gift, points

pytestmark = pytest.mark.django_db

Y2020, Y2040 = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2040))


@pytest.mark.parametrize(
    ("prize", "changes", "said"),
    [
        (None, {}, "The campaign has no prize yet"),
        ({}, {"ends_at": "2020-02-01T00:00", "starts_at": "2020-01-01T00:00"}, "is in the past, so nobody"),
        ({}, {"prize_set-0-weight": "0"}, "Gift MUG-01 has the weight 0, so nobody wins it."),
        ({"is_fallback": True}, {"prize_set-0-weight": "0"}, ""),
        ({"ends_at": Y2040}, {"ends_at": "2042-01-01T00:00", "starts_at": "2041-01-01T00:00"}, "only be won while"),
        ({"ends_at": Y2020}, {"prize_set-0-weight": "7", "starts_at": "2019-01-01T00:00"}, "can be won is over"),
        ({}, {"prize_set-0-weight": "7"}, ""),
    ],
)
def test_what_is_saved_and_hardly_meant_is_said(desk, prize, changes, said):
    campaign = a_campaign()
    prizes = [] if prize is None else [a_gift(campaign, **prize)]

    page = desk.post(page_of(campaign), form_of(campaign, *prizes, **changes), follow=True)

    warned = [str(message) for message in page.context["messages"] if message.level_tag == "warning"]
    assert len(warned) == bool(said)
    assert said in "".join(warned)


def test_a_prize_that_nobody_wins_is_said_on_its_own_page_too(desk):
    prize = points(a_campaign())
    form = {"name": "Mug", "kind": "points", "value": "5", "weight": "0", "stockchange_set-TOTAL_FORMS": 0}

    page = desk.post(page_of(prize), {**form, "stockchange_set-INITIAL_FORMS": 0}, follow=True)

    assert "Mug has the weight 0, so nobody wins it." in text(page)


def test_a_campaign_leads_to_its_flash_sale_or_to_making_one(desk, manager):
    campaign = a_campaign()
    address = f"{reverse('admin:awards_sale_add')}?campaign={campaign.pk}"

    offered = address in desk.get(page_of(campaign)).content.decode()
    form = desk.get(address).content.decode()
    Sale.objects.create(campaign=campaign)

    assert offered
    assert f'<option value="{campaign.pk}" selected>' in form
    assert address not in desk.get(page_of(campaign)).content.decode()


def test_wins_that_are_not_counted_yet_are_said(desk):
    campaign = a_campaign()
    prize = points(campaign)
    a_draw(campaign)

    pages = [text(desk.get(page_of(row))) for row in (campaign, prize)]

    assert ["1 win is not in the figures of the days yet" in page for page in pages] == [True, True]
    assert "Won 1 Issued 0 Waiting 1" in pages[1]


@pytest.mark.parametrize("known", ["right", "draw", ""])
def test_the_address_of_a_campaign_stays_once_anybody_may_know_it(desk, known):
    campaign = a_campaign()
    points(campaign)
    if known == "right":
        an_entitlement(campaign)
    elif known == "draw":
        a_draw(campaign)

    page = text(desk.get(page_of(campaign)))
    saved = desk.post(page_of(campaign), form_of(campaign, slug="renamed", name="Renamed"))

    assert saved.status_code == 302
    assert ("It stays: people have links to this address" in page) == bool(known)
    assert Campaign.objects.values_list("slug", "name").get() == ("raffle" if known else "renamed", "Renamed")


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "UTC"])
def test_every_field_for_a_time_says_in_which_zone_it_is_read(desk, settings, zone):
    settings.TIME_ZONE = zone
    campaign = a_campaign()
    new = ("campaign", "entitlement", "entitlementimport", "block")
    pages = [page_of(campaign), page_of(points(campaign)), *(reverse(f"admin:awards_{model}_add") for model in new)]

    for page in pages:
        html = desk.get(page).content.decode()
        fields = len(re.findall('type="datetime-local"', html))
        assert fields >= 1
        assert html.count(f"In the time zone {zone}.") == fields
        assert "vDateField" not in html


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
@pytest.mark.parametrize("at", ["0001-01-01T00:00", "0026-01-01T00:00", "9999-12-31T23:59"])
def test_a_year_that_cannot_be_meant_is_refused_in_words(desk, settings, zone, at):
    settings.TIME_ZONE = zone
    campaign = a_campaign()
    prize = points(campaign)
    book = {"stockchange_set-TOTAL_FORMS": 0, "stockchange_set-INITIAL_FORMS": 0}
    form = {"name": "Mug", "kind": "points", "value": "5", "weight": "1", **book}

    pages = [
        desk.post(page_of(campaign), form_of(campaign, ends_at=at)),
        desk.post(page_of(prize), {**form, "starts_at": at}),
    ]

    assert ["Check the year" in text(page) for page in pages] == [True, True]


def test_a_time_that_is_typed_is_one_of_the_site_s_zone_and_seconds_that_were_kept_stay(desk, settings):
    settings.TIME_ZONE = "Asia/Shanghai"
    campaign = a_campaign(starts_at=datetime(2026, 1, 31, 12, 0, 30, 5, tzinfo=UTC))

    shown = desk.get(page_of(campaign)).content.decode()
    desk.post(page_of(campaign), form_of(campaign, starts_at="2026-01-31T20:00:30", ends_at="2036-01-31T20:00"))

    campaign.refresh_from_db()
    assert 'value="2026-01-31T20:00:30"' in shown
    assert campaign.starts_at == datetime(2026, 1, 31, 12, 0, 30, 5, tzinfo=UTC)
    assert campaign.ends_at == datetime(2036, 1, 31, 12, 0, tzinfo=UTC)
