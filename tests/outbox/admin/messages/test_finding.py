"""The queue finds by the project's words, looks back a span, and says what has come since it was opened."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from outbox import operate
from outbox.admin import finders
from outbox.admin.finders import find
from outbox.bulk.selection import describe
from outbox.models import BulkItem, BulkOperation, Message
from tests.harness.clock import HOUR, MINUTE, database_time
from tests.harness.desk import ISSUE, ORDER, TOPIC, failure_group, user, wins

pytestmark = pytest.mark.django_db
QUEUE = "/admin/outbox/message/"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    finders.forget_finder(TOPIC)


def shown(desk: Client, **query: str) -> list[str]:
    return [message.key for message, _subject in desk.get(QUEUE, query).context["rows"]]


def test_the_project_s_finder_is_asked_and_its_keys_are_shown_beside_exact_ids(desk: Client) -> None:
    find(TOPIC)(lambda text: [7] if text == "ada" else [])
    wins.failed("7")
    wins.success("ada", consumer=ORDER)
    wins.failed("8")

    assert sorted(shown(desk, q=" ada ")) == ["7", "ada"]
    assert shown(desk, q="grace") == []


def test_a_finder_s_key_means_its_own_topics_alone(desk: Client) -> None:
    find(TOPIC)(lambda _text: ["7"])
    wins.failed("7", topic="other.topic")

    assert shown(desk, q="ada") == []


def test_a_finder_that_breaks_leaves_the_ids_and_is_said_on_the_page(desk: Client) -> None:
    def broken(_text: str) -> list[str]:
        raise RuntimeError("no such table")

    find(TOPIC)(broken)
    wins.failed("7")

    page = desk.get(QUEUE, {"q": "7"})

    assert [message.key for message, _subject in page.context["rows"]] == ["7"]
    assert "The project's own search failed" in page.text


def test_of_a_finder_without_an_end_the_first_keys_are_taken(desk: Client) -> None:
    def endless(_text: str) -> Iterator[int]:
        number = 0
        while True:
            number += 1
            yield number

    find(TOPIC)(endless)
    wins.failed(str(finders.KEYS_TAKEN))
    wins.failed(str(finders.KEYS_TAKEN + 1))

    assert shown(desk, q="any") == [str(finders.KEYS_TAKEN)]


@pytest.mark.parametrize("text", ["\0", "9" * 5000, "\u202e", "'; --", "²"])
def test_a_text_that_no_database_takes_finds_nothing(text: str, desk: Client) -> None:
    wins.failed("7")

    assert shown(desk, q=text) == []


def test_a_span_keeps_what_failed_within_it_and_counts_that(desk: Client) -> None:
    now = database_time()
    for n in range(3):
        wins.failed(f"new {n}", at=now - 5 * MINUTE)
    wins.failed("old", at=now - 3 * HOUR)

    page = desk.get(QUEUE, {"within": "1h"})

    assert [message.key for message, _subject in page.context["rows"]] == ["new 2", "new 1", "new 0"]
    assert "The last hour: 3 messages." in page.text
    assert "within=1h" in {tab.slug: url for tab, _count, url in page.context["tabs"]}["all"]
    assert len(shown(desk, within="12h")) == len(shown(desk, within="nonsense")) == 4


def test_an_empty_span_does_not_say_that_all_is_well(desk: Client) -> None:
    wins.failed("old", at=database_time() - 3 * HOUR)

    text = desk.get(QUEUE, {"within": "1h"}).text

    assert "There is nothing of that here." in text
    assert "Nothing waits for a person" not in text


def failed_with(key: str, error: str) -> Message:
    message = wins.failed(key)
    Message.objects.filter(pk=message.pk).update(last_error=error)
    return message


def test_a_part_of_the_error_keeps_what_has_it_as_it_was_typed(desk: Client) -> None:
    failed_with("card", "Refused: card CLOSED, 100% sure")
    failed_with("till", "Refused: the till_is jammed")
    wins.success("paid")

    page = desk.get(QUEUE, {"error": " card closed "})

    assert [message.key for message, _subject in page.context["rows"]] == ["card"]
    assert "“card closed” in the error: 1 message." in html.unescape(page.text)
    assert "error=card+closed" in {tab.slug: url for tab, _count, url in page.context["tabs"]}["pending"]
    assert [shown(desk, error=part) for part in ("100%", "till_", "%", "_", "0% s", "d_c", "\0")] == [
        *(["card"], ["till"], ["card"], ["till"], ["card"], []),
        ["till", "card"],
    ]
    assert desk.get(re.sub("since=[^&]*", "", page.context["arrivals_url"])).json()["count"] == 1


def test_all_that_match_are_just_those_that_the_queue_shows(client: Client) -> None:
    now = database_time()
    client.force_login(user("lena", is_superuser=True))
    wanted = failed_with("wanted", "Refused: card closed")
    others = [failed_with("not mine", "card closed"), failed_with("another error", "till"), wins.failed("old")]
    Message.objects.filter(pk=others[2].pk).update(exhausted_at=now - 3 * HOUR, last_error="card closed")
    for message in (wanted, *others[1:]):
        operate.set_note(message.pk, revision=0, actor="lena", owner="lena")

    page = client.get(QUEUE, {"error": "card", "within": "1h", "mine": "1"})
    form = page.text.partition('class="desk-bulk-all"')[2].partition("</form>")[0]
    posted = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    client.post("/admin/outbox/bulkoperation/prepare/", {**posted, "verb": "retry"})

    operation = BulkOperation.objects.get()
    assert list(BulkItem.objects.of(operation).values_list("message_id", flat=True)) == [wanted.pk]
    assert describe(operation.source) == (
        "all failed messages, failed in the last 60 min, seen to by lena, with “card” in the error"
    )


def test_what_was_given_up_since_the_page_was_opened_is_counted_and_nothing_else(desk: Client) -> None:
    now = database_time()
    wins.failed("before", at=now - 5 * MINUTE)
    address = desk.get(QUEUE).context["arrivals_url"]
    of_order = desk.get(QUEUE, {"consumer": ORDER}).context["arrivals_url"]

    assert desk.get(address).json() == {"count": 0, "text": ""}
    wins.failed("since", at=now - 1 * MINUTE)
    wins.pending("waits")
    assert desk.get(address).json() == {"count": 1, "text": "1 new"}
    assert desk.get(of_order).json()["count"] == 0


@pytest.mark.parametrize("since", ["", "x", "2026-13-45T00:00:00", "\0"])
def test_a_moment_that_makes_no_sense_is_none(since: str, desk: Client) -> None:
    wins.failed()

    assert desk.get(f"{QUEUE}arrivals/", {"since": since}).json()["count"] == 1


def test_whoever_may_see_no_messages_is_told_no_number(client: Client, django_user_model: type) -> None:
    client.force_login(django_user_model.objects.create_user("eve", is_staff=True))  # type: ignore[attr-defined]

    assert client.get(f"{QUEUE}arrivals/").status_code == 403


def test_value_reason_and_the_age_of_failing_stand_in_the_queue(desk: Client) -> None:
    group = failure_group()
    wins.failed(
        "worth", failure=group.pk, at=database_time() - 3 * HOUR, value=Decimal("1234.5"), currency="EUR", error="boom"
    )

    text = desk.get(QUEUE).text

    assert "1,234.50 EUR" in text
    assert "boom (no attempts left)" in text or "boom" in text
    assert ">3\xa0hours<" in text
    assert desk.get(QUEUE, {"tab": "success"}).text.count("Value") == 0


def test_the_groups_and_the_message_show_what_is_at_stake(desk: Client) -> None:
    group = failure_group()
    message = wins.failed(failure=group.pk, value=Decimal(7), currency="EUR")

    assert "7 EUR" in desk.get("/admin/outbox/failuregroup/").text
    assert "7 EUR" in desk.get(f"/admin/outbox/failuregroup/{group.pk}/change/").text
    assert "7 EUR" in desk.get(f"{QUEUE}{message.pk}/change/").text


def test_what_is_on_a_later_page_is_not_asked_for_again_and_again(desk: Client) -> None:
    for n in range(60):
        wins.failed(str(n), at=database_time() - timedelta(seconds=n))

    first = desk.get(QUEUE)

    assert first.context["arrivals_url"]
    assert desk.get(QUEUE + first.context["older_url"]).context["arrivals_url"] == ""
    assert len(shown(desk, consumer=ISSUE)) == 50
