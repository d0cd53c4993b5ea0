"""What people see in a browser whose draw came too fast: a page in the site's colours, which keeps its policy."""

from urllib.parse import parse_qs

import pytest

from awards.models import Draw
from awards.views.door import SaleDoor
from tests.awards.sale.test_door import Inside, a_paced_sale, ask
from tests.harness.browsing import LOOKS, browser, complaints, over_http

__all__ = ["browser", "over_http"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_the_page_of_a_refused_draw_is_in_order_in_every_look_and_leads_back(browser, live_server, look):
    a_paced_sale(rate=1, burst=1)
    door = SaleDoor(Inside())
    ask(door, "/campaigns/raffle/")
    status, headers, body = ask(door, "/campaigns/raffle/")
    context = browser.new_context(base_url=live_server.url, **look)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.route("**/campaigns/raffle/", lambda route: route.fulfill(status=status, headers=headers, body=body), times=1)

    page.goto("/campaigns/raffle/")
    found = complaints(page)
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    page.get_by_role("link", name="To the raffle").click()
    page.get_by_role("heading", name="Raffle").wait_for()
    context.close()

    assert found == ([], 0)
    assert colours == ["rgb(245, 243, 238)", "rgb(20, 23, 28)"]
    assert [text for text in said if "429" not in text] == []


def test_whoever_reloads_it_sends_the_same_draw_again(browser, live_server):
    a_paced_sale(rate=1, burst=1)
    door = SaleDoor(Inside())
    ask(door, "/campaigns/raffle/")
    status, headers, body = ask(door, "/campaigns/raffle/")
    context = browser.new_context(base_url=live_server.url)
    page, sent = context.new_page(), []
    page.goto("/campaigns/raffle/")

    def refuse_once(route):
        sent.append(parse_qs(route.request.post_data or "")["request_id"])
        if len(sent) == 1:
            route.fulfill(status=status, headers=headers, body=body)
        else:
            route.continue_()

    page.route("**/campaigns/raffle/", refuse_once)
    page.get_by_label("Your e-mail address or name").fill("anna@example.com")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_role("heading", name="Please try again in 1 second").wait_for()
    page.reload()
    page.wait_for_url("**/draws/**")
    context.close()

    assert len(sent) == 2
    assert [Draw.objects.get().request_id] == sent[0] == sent[1]
