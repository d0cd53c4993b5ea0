"""Operations: what a person must do, and every number with the list that makes it."""

import re
from datetime import timedelta
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from outbox.admin.operations import page as operations_page
from outbox.models import ConsumerState, Heartbeat, MinuteStat
from outbox.monitoring.health import Reading
from outbox.monitoring.measurements import CAP, ConsumerMeasurements, Measurements
from tests.harness.desk import ISSUE, ORDER, failure_group, user, wins

pytestmark = pytest.mark.django_db
HOME = "/admin/outbox/"


@pytest.fixture(autouse=True)
def maintenance_jobs() -> None:
    for name in ("rescan", "prune", "rollup", "alerts", "audit"):
        Heartbeat.objects.create(name=name)


def shown(client: Client, path: str = HOME) -> operations_page.Operations:
    page = client.get(path)
    assert page.status_code == 200
    found: operations_page.Operations = page.context["operations"]
    return found


def links(text: str) -> set[str]:
    return {link.replace("&amp;", "&") for link in re.findall(r'href="(/admin/[^"]*)"', text)}


def test_with_nothing_wrong_it_says_so_and_what_was_looked_at(desk: Client) -> None:
    found = shown(desk)

    assert (found.tone, found.headline, found.wrong) == ("good", "Everything is in order.", [])
    assert any("The rescan last succeeded" in one.text for one in found.in_order)


def test_what_is_wrong_is_a_sentence_with_the_way_to_it(desk: Client) -> None:
    wins.failed(consumer=ORDER)
    ConsumerState.objects.create(consumer=ISSUE, paused_at=Now(), paused_by="ada", paused_reason="stocktaking")

    found = shown(desk)

    assert (found.tone, found.headline) == ("wait", "2 things want a look.")
    assert [(one.url, one.link) for one in found.wrong] == [
        (f"/admin/outbox/consumerstate/{ISSUE}/change/", "Open the consumer"),
        (f"/admin/outbox/message/?tab=failed&consumer={ORDER}", "Show what failed"),
    ]
    assert "limit 1" in found.wrong[1].text


def test_what_is_critical_asks_for_a_person_now(desk: Client) -> None:
    Heartbeat.objects.filter(name="rescan").update(at=Now() - timedelta(hours=1))

    found = shown(desk)

    assert (found.tone, found.headline) == ("bad", "1 thing needs a person now.")
    assert found.wrong[0].url == "/admin/outbox/heartbeat/"


def test_tiles_count_what_their_lists_show(desk: Client) -> None:
    wins.pending("1", consumer=ORDER, not_before=timezone.now() - timedelta(minutes=3))
    wins.started("2")
    wins.failed("3")
    at = timezone.now().replace(second=0, microsecond=0)
    MinuteStat.objects.create(minute=at, consumer=ISSUE, successes=1200, failed=2, rejected=1, lost=1, snoozed=9)

    tiles = {tile.label: (tile.value, tile.url) for tile in shown(desk).tiles}

    assert tiles == {
        "Failed, unresolved": ("1", "/admin/outbox/message/?tab=failed"),
        "Unfinished": ("2", "/admin/outbox/message/?tab=pending"),
        "Oldest": ("6 min", f"/admin/outbox/message/?tab=pending&consumer={ISSUE}"),
        "Succeeded": ("1,200", "/admin/outbox/message/?tab=success"),
        "Failed attempts": ("4", "/admin/outbox/failuregroup/"),
    }


def test_where_counting_stopped_the_tiles_say_so(desk: Client) -> None:
    consumers = (ConsumerMeasurements(name="a", pending=CAP), ConsumerMeasurements(name="b", started=5))
    measurements = Measurements(consumers=consumers, exhausted=CAP)

    with mock.patch.object(operations_page, "read", return_value=Reading(measurements, {}, [])):
        tiles = {tile.label: tile.value for tile in shown(desk).tiles}

    assert (tiles["Unfinished"], tiles["Failed, unresolved"]) == ("200,005+", "200,000+")


def test_every_link_on_the_page_leads_somewhere(desk: Client) -> None:
    group = failure_group(stuck=2)
    wins.pending("p", due_at=timezone.now() - timedelta(hours=1), created_at=timezone.now() - timedelta(hours=1))
    ConsumerState.objects.create(consumer=ORDER, breaker="open", probe_at=Now())

    found = links(desk.get(HOME).text)

    assert f"/admin/outbox/message/?tab=failed&group={group.pk}" in found
    assert {path: desk.get(path).status_code for path in found if "logout" not in path} == dict.fromkeys(found, 200)


def test_consumers_that_are_held_back_come_first_and_have_their_button(desk: Client) -> None:
    ConsumerState.objects.create(consumer=ORDER, paused_at=Now(), paused_by="ada", paused_reason="x")

    page = desk.get(HOME)

    assert page.context["operations"].statuses[0].name == ORDER
    assert f'aria-label="Resume {ORDER}"' in page.text
    assert f'aria-label="Pause {ISSUE}"' in page.text


def test_the_worst_five_failure_groups_are_shown_and_the_rest_counted(desk: Client) -> None:
    for n in range(7):
        failure_group(str(n), stuck=n)

    page = desk.get(HOME)

    assert [one.group.title[4] for one in page.context["operations"].groups_shown] == list("65432")
    assert "1 more failure group" in page.text  # of the one with nothing stuck nobody needs to hear at night


def test_it_costs_the_same_statements_however_many_messages_there_are(desk: Client) -> None:
    def statements() -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            desk.get(HOME)
        return [query["sql"] for query in queries]

    wins.failed("0", consumer=ISSUE)
    wins.pending("0", consumer=ORDER)
    statements()  # the first request writes down that somebody is there
    with_one = len(statements())
    for n in range(1, 20):
        wins.failed(str(n))
        wins.pending(str(n), consumer=ORDER)

    after = statements()
    assert len(after) == with_one <= 14  # with the savepoint around the figures
    assert [sql for sql in after if "outbox_message" in sql and "IS NOT NULL" not in sql and "IS NULL" not in sql] == []


def test_whoever_may_see_less_is_led_nowhere_that_would_refuse_them(client: Client, viewer: User) -> None:
    failure_group(stuck=1)
    client.force_login(viewer)

    page = client.get(HOME)

    assert page.context["operations"].groups_shown == []
    ours = {path for path in links(page.text) if path.startswith("/admin/outbox/")}
    assert {path: client.get(path).status_code for path in ours} == dict.fromkeys(ours, 200)
    assert "the till is jammed" not in page.text


@pytest.mark.parametrize(("may", "url"), [("view_audit", "/admin/outbox/auditentry/"), ("view_auditentry", "")])
def test_what_is_said_of_the_audit_leads_those_to_it_who_may_see_it(client: Client, may: str, url: str) -> None:
    client.force_login(user("olga", "view_message", may))
    Heartbeat.objects.update_or_create(name="audit", defaults={"data": {"broken": 3}})

    [said] = [one for one in shown(client).wrong if "breaks at entry 3" in one.text]

    assert (said.url, bool(said.link)) == (url, bool(url))


def test_without_the_permission_to_pause_the_button_says_so(client: Client) -> None:
    client.force_login(user("watcher", "view_message", "view_consumerstate"))

    assert "It takes the permission “outbox.pause_consumer”." in client.get(HOME).text


def test_whoever_may_see_no_messages_sees_the_lists_alone(client: Client) -> None:
    client.force_login(user("auditor", "view_audit"))

    page = client.get("/admin/")

    assert page.status_code == 200
    assert "desk-ops" not in page.text
    assert "/admin/outbox/auditentry/" in page.text


def test_a_database_that_breaks_over_the_figures_leaves_the_lists(desk: Client) -> None:
    with mock.patch.object(operations_page, "read", side_effect=DatabaseError("statement timeout")):
        page = desk.get(HOME)

    assert page.status_code == 200
    assert "The figures could not be read" in page.text
    assert "/admin/outbox/message/" in page.text


def test_the_admin_s_first_page_of_this_project_is_operations(desk: Client) -> None:
    page = desk.get("/admin/")

    assert page.context["operations"].headline
    assert "<title>Site administration | Makegood</title>" in page.text
    assert 'rel="icon"' in page.text
    assert 'content="60"' in page.text


def test_the_login_page_bears_the_site_s_name(client: Client) -> None:
    page = client.get("/admin/login/")

    assert "Makegood" in page.text
    assert 'rel="icon"' in page.text
