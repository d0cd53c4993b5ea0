"""The managers' pages in a real browser: under the policy, nothing for axe to find, and all of it on a phone."""

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from awards.models import Block, Coupon, EntitlementImport, Prize, Refusal, Sale
from tests.awards.admin.test_campaigns_in_the_admin import page_of
from tests.awards.clients.given import a_client, an_entitlement
from tests.awards.given import a_campaign, a_coupon_prize, a_draw, a_gift, hand_out, points
from tests.harness.browsing import LOOKS, browser, complaints, over_http

__all__ = ["browser", "over_http"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def open_page(browser, live_server, django_user_model):
    """Open pages as somebody who may do everything; at the end the console must have stayed silent."""
    user = django_user_model.objects.create_superuser("root", password="x")
    said, contexts = [], []

    def open_page(path, **look):
        client = Client()
        client.force_login(user)
        context = browser.new_context(base_url=live_server.url, **look)
        contexts.append(context)
        cookie = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture
def campaign():
    campaign = a_campaign(losing_weight=10, name="A raffle with a name that is a good deal longer than most of them")
    points(campaign, 50, weight=5)
    a_gift(campaign, name="An enamel mug in blue with a white rim", stock=1_000_000, weight=1)
    a_coupon_prize(campaign, codes=3, stock=10, weight=1_000)
    a_campaign("off", active=False)
    return campaign


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_every_page_keeps_the_policy_pleases_axe_and_fits_the_screen(open_page, campaign, look):
    won = a_draw(campaign)
    hand_out(won.award)
    voucher = Prize.objects.get(kind="coupon")
    shop, _key = a_client()
    given = an_entitlement(campaign)
    listed = EntitlementImport.objects.create(campaign=campaign, actor="maria", lines=3, done=3, added=2)
    Block.objects.create(kind="person", subject="dora@example.com", reason="Many names", blocked_by="maria")
    Refusal.objects.create(campaign=campaign, code="blocked", day="2026-01-31", times=3)
    sale = Sale.objects.create(campaign=campaign, rate=100, queues=True)
    paths = [
        reverse("admin:awards_sale_changelist"),
        reverse("admin:awards_sale_add"),
        page_of(sale),
        reverse("admin:awards_sale_watch", args=[sale.pk]),
        reverse("admin:awards_campaign_changelist"),
        reverse("admin:awards_campaign_add"),
        page_of(campaign),
        reverse("admin:awards_prize_changelist"),
        page_of(voucher),
        reverse("admin:awards_prize_stock", args=[voucher.pk]),
        reverse("admin:awards_prize_codes", args=[voucher.pk]),
        reverse("admin:awards_coupon_changelist"),
        page_of(Coupon.objects.first()),
        reverse("admin:awards_award_changelist"),
        page_of(won.award),
        reverse("admin:awards_apiclient_changelist"),
        reverse("admin:awards_apiclient_add"),
        page_of(shop),
        reverse("admin:awards_apiclient_revoke", args=[shop.pk]),
        reverse("admin:awards_apiclient_webhook", args=[shop.pk]),
        reverse("admin:awards_entitlement_changelist"),
        reverse("admin:awards_entitlement_add"),
        page_of(given),
        reverse("admin:awards_entitlementimport_changelist"),
        reverse("admin:awards_entitlementimport_add"),
        page_of(listed),
        reverse("admin:awards_block_changelist"),
        reverse("admin:awards_block_add"),
    ]
    page, found = open_page(paths[0], **look), {}
    messages = []
    for path in paths:
        page.goto(path)
        found[path] = complaints(page)
        messages.append(page.title())

    assert {path: complaint for path, complaint in found.items() if complaint != ([], 0)} == {}
    assert all(messages)


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize(
    ("of", "table", "labels"),
    [
        ("award", "#result_list", ["Public id", "Person", "Prize", "Value", "Status", "Won at", "Issued at"]),
        ("campaign", "#result_list", ["Name", "State", "Who draws", "Begins and ends", "Awards won", "Money at stake"]),
        ("", ".tabular table", ["Name", "Kind", "Value", "Vendor's article number", "Weight", "Stock"]),
    ],
)
def test_on_a_phone_a_row_is_stacked_each_cell_with_its_column_s_name_and_nothing_is_cut_off(
    open_page, campaign, of, table, labels
):
    a_draw(campaign)
    page = open_page(reverse(f"admin:awards_{of}_changelist") if of else page_of(campaign), **PHONE)
    cells = page.locator(f"{table} tbody tr").first.locator("[data-label]")
    boxes = [cell.bounding_box() for cell in cells.all()]

    assert [
        label.replace("’", "'") for label in cells.evaluate_all("them => them.map(it => it.dataset.label)")
    ] == labels
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    assert sorted(box["y"] for box in boxes) == [box["y"] for box in boxes]
    assert len({box["y"] for box in boxes}) == len(labels)


def test_on_a_phone_what_a_figure_warns_of_stands_beside_it(open_page, campaign):
    Coupon.objects.all().delete()
    page = open_page(page_of(campaign), **PHONE)

    cell = page.locator('.mg-table [data-label="Codes free"]').filter(has_text="⚠")
    number, mark = (cell.get_by_text(text, exact=True).bounding_box() for text in ("0", "⚠"))

    assert 0 <= mark["x"] - (number["x"] + number["width"]) < 10


def test_a_prize_added_on_a_phone_has_the_names_too(open_page, campaign):
    page = open_page(page_of(campaign), **PHONE)

    page.get_by_role("button", name="Add another Prize").click()

    expect(page.locator("#prize_set-3 .field-weight")).to_have_attribute("data-label", "Weight")


def test_without_javascript_a_wide_list_scrolls_in_its_own_box(open_page, campaign):
    a_draw(campaign)
    page = open_page(reverse("admin:awards_award_changelist"), java_script_enabled=False, **PHONE)
    box = page.locator(".results")

    assert box.evaluate("it => it.scrollWidth > it.clientWidth")
    assert "linear-gradient" in box.evaluate("it => getComputedStyle(it).backgroundImage")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_manager_adds_codes_on_a_phone(open_page, campaign):
    voucher = Prize.objects.get(kind="coupon")
    page = open_page(page_of(voucher), **PHONE)

    page.get_by_role("link", name="Add codes").click()
    page.get_by_label("Codes").fill("NEW-CODE-0001\nNEW-CODE-0002\n")
    page.get_by_role("button", name="Look through").click()
    expect(page.get_by_role("heading", name="2 codes will be added")).to_be_visible()
    page.get_by_role("button", name="Add them").click()

    expect(page.locator(".messagelist")).to_contain_text("2 codes were added.")
    assert Coupon.objects.free().count() == 5


def test_a_manager_is_told_what_is_wrong_and_finds_the_list_as_it_was(open_page, campaign):
    voucher = Prize.objects.get(kind="coupon")
    page = open_page(reverse("admin:awards_prize_codes", args=[voucher.pk]))

    page.get_by_label("Codes").fill("A\nB\nA")
    page.get_by_role("button", name="Look through").click()

    expect(page.get_by_role("alert")).to_contain_text("Nothing was added: 1 line cannot be taken.")
    expect(page.get_by_label("Codes")).to_have_value("A\nB\nA")
    assert complaints(page) == ([], 0)


def test_a_manager_changes_a_stock_by_keyboard(open_page, campaign):
    mug = Prize.objects.get(kind="gift")
    page = open_page(reverse("admin:awards_prize_stock", args=[mug.pk]))

    page.get_by_label("What to do").select_option("Remove from the stock")
    page.get_by_label("Pieces").press_sequentially("5")
    page.get_by_label("Reason").press_sequentially("broken")
    page.keyboard.press("Enter")

    expect(page.locator(".messagelist")).to_contain_text("The stock is 999995 now.")
    expect(page.locator("#stockchange_set-group")).to_contain_text("broken")


def test_a_change_of_stock_that_is_gone_back_to_is_not_typed_in_any_more(open_page, campaign):
    mug = Prize.objects.get(kind="gift")
    page = open_page(reverse("admin:awards_prize_stock", args=[mug.pk]))
    page.get_by_label("Pieces").fill("10")
    page.get_by_label("Reason").fill("a delivery")
    page.get_by_role("button", name="Change the stock").click()
    expect(page.locator(".messagelist")).to_contain_text("The stock is 1000010 now.")

    page.go_back()

    expect(page.get_by_label("Pieces")).to_have_value("")
    expect(page.get_by_label("Reason")).to_have_value("")


@pytest.mark.parametrize(("zone", "said"), [("Asia/Shanghai", "On your own clock: Jul 2, 2026, 2:00 AM"), ("UTC", "")])
@pytest.mark.parametrize("of", ["campaign", "entitlementimport"])
def test_whoever_has_another_clock_reads_what_a_time_is_on_it(open_page, zone, said, of):
    page = open_page(reverse(f"admin:awards_{of}_add"), timezone_id=zone)
    field = page.get_by_label("Ends" if of == "campaign" else "Valid until")

    field.fill("2026-07-01T18:00")

    help = page.locator(f"#{field.get_attribute('id')}_helptext")
    expect(help).to_contain_text("In the time zone UTC.")
    expect(help.locator("span")).to_have_text(said)
