"""Things keep to their places: tables to their columns at 1280 pixels, names to their words, links to their line."""

import pytest

from outbox.models import ConsumerState
from tests.harness.browsing import PHONE, Open
from tests.harness.clock import database_time
from tests.harness.desk import wins

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NAMES = ["awards.count_win", "awards.tell_claimable", "awards.write_down_the_stock_of_a_sale"]
"""Names as the projects of a user have them; the code of these tests knows none of them."""
WIDE = {"viewport": {"width": 1280, "height": 800}}
STICKS_OUT = """() => [
    ...(document.documentElement.scrollWidth > window.innerWidth
        ? [`the page by ${document.documentElement.scrollWidth - window.innerWidth}`] : []),
    ...[...document.querySelectorAll('table')]
        .map(table => [table, table.getBoundingClientRect().right - table.parentElement.getBoundingClientRect().right])
        .filter(([table, by]) => by > 1)
        .map(([table, by]) => `${table.innerText.slice(0, 40)} by ${by}`),
]"""
BROKEN = """(names) => [...document.querySelectorAll('#content td, #content th a')].flatMap(cell => {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
        const text = texts.currentNode;
        for (const word of text.data.matchAll(/[a-z]{2,}/g)) {
            const range = document.createRange();
            range.setStart(text, word.index);
            range.setEnd(text, word.index + word[0].length);
            if (names.some(name => name.includes(word[0])) && range.getClientRects().length > 1) {
                found.push(word[0]);
            }
        }
    }
    return found;
})"""


@pytest.fixture
def busy(consumers: None) -> None:
    """What a busy day leaves: long names, one of them paused, an error, an owner and ordering keys."""
    for number, name in enumerate(NAMES):
        wins.failed(f"failed {number}", consumer=name, currency="EUR", value=1_234_567)
        wins.pending(f"pending {number}", consumer=name, ordering_key="till 1", attempts=112, attempt_limit=120)
        ConsumerState.objects.create(
            consumer=name, paused_at=database_time(), paused_by="maria", paused_reason="the vendor moves"
        )


@pytest.mark.parametrize(
    "path",
    [
        "/admin/outbox/",
        "/admin/outbox/message/",
        "/admin/outbox/message/?tab=failed",
        "/admin/outbox/message/?tab=pending",
        "/admin/outbox/consumerstate/",
        "/admin/outbox/failuregroup/",
    ],
)
def test_nothing_leaves_its_place_and_no_name_breaks_in_a_word(busy: None, open_page: Open, path: str) -> None:
    page = open_page(path, **WIDE)

    assert page.evaluate(STICKS_OUT) == []
    assert page.evaluate(BROKEN, NAMES) == []


def test_what_stands_above_a_message_on_a_chinese_phone_stands_on_one_line(open_page: Open) -> None:
    message = [wins.failed(key) for key in "abc"][1]
    page = open_page(f"/admin/outbox/message/{message.pk}/change/?tab=failed", locale="zh-CN", **PHONE)

    middles = page.locator(".desk-flow > a, .desk-flow button").evaluate_all(
        "them => them.map(it => it.getBoundingClientRect()).map(it => (it.top + it.bottom) / 2)"
    )

    assert len(middles) == 3
    assert max(middles) - min(middles) <= 1
