"""One night, two stories and a handful: a vendor's outage, a renamed key, and causes of their own, at a real desk.

The short form runs with the suite, the one story in English and the rest in Chinese. ``make night`` is the night
itself, once in each language: ``NIGHT`` says how many gifts, points, others, and messages that are long done.
"""

import os
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.harness.program import eventually
from tests.system.browser.night import Night, Nora, Size

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.services]

SHORT = "150,100,2,500"
EDITED = 0.1
"""Which share of the others is mended by another payload, one at least."""
LANGUAGES = [("en-US", "en-US"), ("zh-CN", "zh-CN")] if "NIGHT" in os.environ else [("en-US", "zh-CN")]
"""In which the gifts are seen to, and the rest."""
DONE = "[data-refresh-state=done]"
ANSWERS = "#desk-answers ~ [role=status]"
BUSY = re.compile("503 Service Unavailable|429 Too Many Requests")
MOST_SECONDS = 600
"""For both stories, waiting included."""


@pytest.fixture
def night(install, tmp_path) -> Iterator[Night]:
    size = Size(*map(int, os.environ.get("NIGHT", SHORT).split(",")))
    with install() as site:
        yield Night(site, tmp_path, size)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("languages", LANGUAGES, ids=" then ".join)
def test_one_person_gets_through_the_night_and_nothing_is_lost_or_issued_twice(
    night: Night, browser: Browser, languages: tuple[str, str]
) -> None:
    night.fall()
    began = time.monotonic()
    first, then = (Nora(browser, night, locale=locale) for locale in languages)

    gifts_go_again(first)
    points_go_again(then)
    decisions, seconds = first.decisions + then.decisions, time.monotonic() - began
    assert night.stuck() == night.size.others
    handle_the_others(then)

    print(f"{night.size}: {decisions} decisions and {seconds:.0f} s for both stories")
    assert (decisions <= 10, seconds <= MOST_SECONDS) == (True, True)
    assert night.stuck() == 0
    assert night.orders() == {f"gift {n}": 1 for n in range(night.size.gifts)}
    assert night.credits() == {f"points {n}": 1 for n in range(night.size.points)}


def gifts_go_again(nora: Nora) -> None:
    """The vendor was away: ask it, and once it answers that it knows nothing, try five and then the rest."""
    nora.decides(".desk-story-do a.button")
    nora.decides(".desk-bulk-all [value=retry]")
    nora.decides("[value=ask]")
    closed = nora.sees(ANSWERS).inner_text()
    assert BUSY.search(closed)
    nora.night.open_the_vendor()
    nora.decides("[value=ask]")
    opened = nora.sees(ANSWERS).inner_text()
    assert not BUSY.search(opened)
    nora.fills("canary", "5")
    nora.fills("stop_percent", "10")
    nora.fills("rate", "200")
    nora.fills("reason", "the vendor is back and knows nothing of them")
    nora.decides("[data-act=bulk_start] button")
    eventually(lambda: len(nora.night.orders()) > 20, within=60, every=0.5)
    nora.night.kill_a_worker_and_the_desk()
    assert [program.suffered["killed"] for program in (nora.night.workers[0], nora.night.web)] == [1, 1]
    nora.page.reload()
    nora.sees(DONE, within=120 + nora.night.size.gifts / 100)


def points_go_again(nora: Nora) -> None:
    """The key is called otherwise since this evening: rename it in all payloads, rehearse, try five, then the rest."""
    nora.goes_to("/admin/outbox/")
    nora.decides(".desk-story-do a.button")
    nora.decides(".desk-bulk-all [value=edit]")
    nora.fills("rename", "amount = points")
    nora.decides("form .button.default")
    nora.decides("[value=rehearse]")
    nora.sees("#desk-rehearsal ~ [role=status]")
    nora.sees("[value=rehearse]", within=60 + nora.night.size.points / 100)  # it is over, and can be made again
    assert f" {nora.night.size.points} " in nora.sees(".desk-rehearsed").inner_text().replace(",", "")
    nora.fills("reason", "renamed by tonight's release")
    nora.decides("[data-act=bulk_start] button")
    nora.sees(DONE, within=120 + nora.night.size.points / 100)


def handle_the_others(nora: Nora) -> None:
    """Each by itself, in at most four acts: some by another payload, the rest are issued by hand."""
    many = nora.night.size.others
    for number in range(many):
        before = nora.decisions
        nora.goes_to("/admin/outbox/message/?tab=failed")
        nora.decides("table [data-row] >> nth=0")
        if number < max(1, many * EDITED):
            nora.decides("[data-key=e]")
            nora.fills("payload", '{"why": ""}')
            nora.fills("reason", "mended")
            nora.decides("[value=preview]")
            nora.decides("[value=save]")
        else:
            nora.page.locator("[data-act=handle] summary").click()
            nora.page.locator("[data-act=handle] [name=outcome]").select_option("issued")
            nora.fills("evidence", f"RECEIPT-{number}")
            nora.fills("reason", "paid out at the counter")
            nora.decides("[data-act=handle] button")
        assert nora.decisions - before <= 4
        eventually(lambda left=many - number - 1: nora.night.stuck() == left, within=30)
