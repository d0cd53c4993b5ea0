"""The consumers' list and page as an operator uses them."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from outbox import operate, registry
from outbox.models import AuditEntry, ConsumerState
from tests.harness.desk import ISSUE, TOPIC, user, wins

pytestmark = pytest.mark.django_db
LIST = "/admin/outbox/consumerstate/"
PAGE = f"{LIST}{ISSUE}/change/"


def post(client: Client, act: str, *, seen: str = "", **given: Any):
    return client.post(PAGE, {"act": act, "seen": seen, "reason": "stocktaking", **given}, follow=True)


def seen_pause() -> str:
    at = ConsumerState.objects.get(pk=ISSUE).paused_at
    assert at is not None
    return at.isoformat()


def test_every_consumer_of_the_code_is_listed_and_those_that_only_the_table_knows(desk: Client) -> None:
    wins.pending(consumer="desk.gone")
    wins.failed(consumer="desk.left")
    ConsumerState.objects.create(consumer="desk.held", paused_at=Now(), paused_by="ada", paused_reason="x")
    ConsumerState.objects.create(consumer="desk.forgotten")

    page = desk.get(LIST)

    listed = {row.name: row.held for row in page.context["statuses"]}
    assert {entry.name for entry in registry.all_consumers()} | {"desk.gone", "desk.left", "desk.held"} == set(listed)
    assert listed[ISSUE] == "runs"
    assert listed["desk.gone"] == "not in the code"
    assert listed["desk.held"] == "not in the code, paused by hand"
    assert TOPIC in page.text


def test_numbers_lead_to_the_rows_they_count(desk: Client) -> None:
    wins.pending("1")
    wins.started("2")
    for n in range(3):
        wins.failed(f"f{n}")

    page = desk.get(LIST)

    row = next(row for row in page.context["statuses"] if row.name == ISSUE)
    assert (row.waiting.counted, row.failed.counted) == (2, 3)
    assert f'href="/admin/outbox/message/?tab=pending&amp;consumer={ISSUE}"' in page.text
    assert f'href="/admin/outbox/message/?tab=failed&amp;consumer={ISSUE}"' in page.text


def test_pause_from_the_page_holds_the_consumer_back_and_resume_lets_it_go(desk: Client) -> None:
    paused = post(desk, "pause", lasting="15")
    state = ConsumerState.objects.get()
    assert "Workers have stopped taking up its messages" in paused.text
    assert state.paused_until == state.paused_at + timedelta(minutes=15)
    assert (state.paused_by, AuditEntry.objects.get().origin) == ("lead", "127.0.0.1")

    resumed = post(desk, "resume", seen=seen_pause(), reason="counted")

    assert "what has waited goes to the workers now" in resumed.text
    assert "lead resumed the consumer" in resumed.text
    assert not ConsumerState.objects.paused().exists()


def test_the_page_says_what_a_pause_means_and_who_holds_it(desk: Client) -> None:
    before = desk.get(PAGE).text
    operate.pause(ISSUE, seen=None, actor="ada", reason="the till is open", lasting=timedelta(hours=1))

    after = desk.get(PAGE).text

    assert "New messages are accepted and wait in the table, none is lost" in before
    assert "It runs, and nothing about it wants a look." in before
    assert "by ada (“the till is open”)" in after
    assert "It resumes by itself in" in after


def test_an_open_breaker_shows_the_next_probe_and_its_canary(desk: Client) -> None:
    canary = wins.pending("the canary")
    ConsumerState.objects.create(
        consumer=ISSUE,
        breaker="open",
        canary=canary.pk,
        probe_at=Now() + timedelta(seconds=20),
        probe_seconds=20,
    )

    page = desk.get(PAGE).text

    assert "the breaker is open" in page
    assert f'<a href="/admin/outbox/message/{canary.pk}/change/">desk.won the canary</a>' in page
    assert "next probe" in desk.get(LIST).text


def test_a_conflict_says_who_was_faster_keeps_the_text_and_lets_one_decide_again(desk: Client) -> None:
    operate.pause(ISSUE, seen=None, actor="ada", reason="the till is open")

    refused = post(desk, "pause", reason="my long explanation", lasting="60")

    assert "ada paused the consumer since you looked" in refused.text
    assert "my long explanation" in refused.text
    assert refused.text.count(f'name="seen" value="{seen_pause()}"') == 2
    post(desk, "pause", seen=seen_pause(), lasting="60")
    assert ConsumerState.objects.get().paused_by == "lead"


def test_an_empty_reason_changes_nothing(desk: Client) -> None:
    page = post(desk, "pause", reason="", lasting="60")

    assert "This field is required" in page.text
    assert not ConsumerState.objects.exists()


@pytest.mark.parametrize("given", [{"seen": "soon"}, {"lasting": "7"}])
def test_a_form_that_makes_no_sense_is_refused(given: dict[str, str], desk: Client) -> None:
    page = post(desk, "pause", **{"lasting": "60", **given})

    assert page.status_code == 200
    assert not ConsumerState.objects.exists()


def test_without_the_permission_the_form_is_disabled_with_the_reason_and_refused(client: Client) -> None:
    client.force_login(user("watcher", "view_message", "view_consumerstate"))

    page = client.get(PAGE)
    posted = post(client, "pause", lasting="60")

    assert page.text.count("<fieldset disabled>") == 1
    assert "it takes the permission “outbox.pause_consumer”" in page.text
    assert "You may not do this" in posted.text
    assert not ConsumerState.objects.exists()


def test_without_the_view_permission_there_is_nothing_to_see(client: Client, viewer: User) -> None:
    client.force_login(viewer)

    assert [client.get(path).status_code for path in (LIST, PAGE)] == [403, 403]
    assert client.post(PAGE, {"act": "pause", "reason": "x"}).status_code == 403


def test_a_change_takes_a_post_with_a_csrf_token(lead: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(lead)

    assert strict.post(PAGE, {"act": "pause", "reason": "x", "lasting": "60"}).status_code == 403
    assert strict.get(PAGE, {"act": "pause", "reason": "x", "lasting": "60"}).status_code == 200
    assert not ConsumerState.objects.exists()


def test_an_unknown_consumer_leads_back_to_the_list_and_an_unknown_action_is_refused(desk: Client) -> None:
    page = desk.get(f"{LIST}desk.typo/change/", follow=True)

    assert page.redirect_chain == [(LIST, 302)]
    assert "no consumer named “desk.typo”" in page.text
    assert desk.post(PAGE, {"act": "delete"}).status_code == 403


def test_a_name_with_an_underscore_has_a_page(desk: Client) -> None:
    wins.pending(consumer="desk.print_label")

    listed = desk.get(LIST).text

    assert 'href="/admin/outbox/consumerstate/desk.print_5Flabel/change/"' in listed
    assert desk.get(f"{LIST}desk.print_5Flabel/change/").context["status"].name == "desk.print_label"
