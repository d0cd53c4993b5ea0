"""A name of 120 characters without a space breaks where it stands, and pushes nothing else out of sight."""

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse

from awards.models import Campaign, Prize, Sale
from tests.awards.admin.test_campaigns_in_the_admin import page_of
from tests.awards.admin.test_in_a_browser import open_page
from tests.awards.given import a_campaign, a_coupon_prize, a_draw, points
from tests.harness.browsing import PHONE, browser, over_http

__all__ = ["browser", "open_page", "over_http"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LONG = "W" * 120
LOOKS = {"desktop": {"viewport": {"width": 1280, "height": 800}}, "phone": PHONE}
WIDER = "document.documentElement.scrollWidth - window.innerWidth"
OUT_OF_SIGHT = """() => [...document.querySelectorAll('select, #result_list th, h1, h2, .breadcrumbs, #content a')]
    .filter(each => each.getClientRects().length && each.getBoundingClientRect().right > window.innerWidth + 1)
    .map(each => each.outerHTML.slice(0, 80))"""


@pytest.fixture
def raffle() -> Campaign:
    campaign = a_campaign(name=LONG)
    points(campaign, name=LONG)
    a_coupon_prize(campaign, codes=1, name=f"V{LONG[1:]}")
    return campaign


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_public_pages_are_as_wide_as_the_screen(browser, live_server, raffle, look):
    drawn = a_draw(raffle)
    Prize.objects.update(stock=None)
    context = browser.new_context(base_url=live_server.url, **look)
    page, wider = context.new_page(), {}

    for path in ("/", "/campaigns/raffle/", f"/draws/{drawn.public_id}/"):
        page.goto(path)
        wider[path] = page.evaluate(WIDER)
    context.close()

    assert wider == dict.fromkeys(wider, 0)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_nothing_of_the_managers_pages_is_pushed_out_of_sight(open_page, django_user_model, raffle, look):
    award = a_draw(raffle).award
    sale = Sale.objects.create(campaign=a_campaign("sale", name=LONG), rate=100)
    LogEntry.objects.create(
        user=django_user_model.objects.get(),
        content_type=ContentType.objects.get_for_model(Campaign),
        object_id=str(raffle.pk),
        object_repr=LONG,
        action_flag=CHANGE,
    )
    paths = [
        reverse("admin:awards_campaign_changelist"),
        page_of(raffle),
        reverse("admin:awards_campaign_history", args=[raffle.pk]),
        reverse("admin:awards_prize_changelist"),
        page_of(raffle.prize_set.first()),
        reverse("admin:awards_prize_codes", args=[raffle.prize_set.last().pk]),
        reverse("admin:awards_award_changelist"),
        page_of(award),
        reverse("admin:awards_coupon_changelist"),
        reverse("admin:awards_sale_changelist"),
        reverse("admin:awards_sale_add"),
        page_of(sale),
        reverse("admin:awards_sale_watch", args=[sale.pk]),
        reverse("admin:awards_entitlement_changelist"),
        reverse("admin:awards_entitlement_add"),
        reverse("admin:awards_entitlementimport_add"),
        reverse("admin:awards_apiclient_add"),
        "/admin/",
    ]
    page, found = open_page(paths[0], **look), {}

    for path in paths:
        page.goto(path)
        wider, hidden = page.evaluate(WIDER), page.evaluate(OUT_OF_SIGHT)
        if wider or hidden:
            found[path] = (wider, hidden)

    assert found == {}
