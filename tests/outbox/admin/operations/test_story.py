"""The story of the night: the top cause with its count, since when, whether it goes on, its worth, and who is on it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client

from outbox.admin.operations.story import Story
from outbox.models import GroupState, Heartbeat, Message
from tests.harness.clock import HOUR, MINUTE, database_time
from tests.harness.desk import ISSUE, ORDER, failure_group, wins

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def maintenance_jobs() -> None:
    for name in ("rescan", "prune", "rollup", "alerts", "audit"):
        Heartbeat.objects.create(name=name)


def told(client: Client) -> Story | None:
    story: Story | None = client.get("/admin/outbox/").context["operations"].story
    return story


def test_with_nothing_failed_there_is_no_story_and_no_tile_of_worth(desk: Client) -> None:
    wins.pending(value=Decimal(5), currency="EUR")

    page = desk.get("/admin/outbox/")

    assert page.context["operations"].story is None
    assert "Value at stake" not in page.text


def test_the_cause_of_most_failures_is_told_and_the_others_are_counted(desk: Client) -> None:
    group = failure_group("vendor", stuck=1203, consumer=ORDER)
    failure_group("rename", stuck=2)
    failure_group("odd", stuck=1)

    story = told(desk)

    assert story is not None
    assert story.headline == f"1,203 messages of {ORDER} wait for a person: the vendor jams"
    assert story.others == "3 other messages wait for a person (failure groups: 2)."
    assert (story.url, story.link) == (f"/admin/outbox/failuregroup/{group.pk}/change/", "Open the failure group")
    assert desk.get(story.url).status_code == 200


def test_what_is_at_stake_is_added_up_by_currency(desk: Client) -> None:
    group = failure_group()
    for n in range(3):
        wins.failed(f"gift {n}", failure=group.pk, value=Decimal("12.50"), currency="EUR")
    wins.failed("points", failure=group.pk, value=Decimal(3000), currency="points")
    wins.failed("other", consumer=ORDER, value=Decimal(1), currency="EUR")

    page = desk.get("/admin/outbox/")

    assert page.context["operations"].story.worth == "3,000 points + 37.50 EUR"
    tiles = {tile.label: (tile.value, tile.detail) for tile in page.context["operations"].tiles}
    assert tiles["Value at stake"] == ("3,000 points", "and 38.50 EUR")


def test_it_says_since_when_and_whether_it_grows_or_has_stopped(desk: Client) -> None:
    group = failure_group()
    now = database_time()
    wins.failed("first", failure=group.pk, at=now - 5 * HOUR)
    wins.failed("last", failure=group.pk, at=now - 3 * HOUR)

    stopped = told(desk)
    wins.failed("new", failure=group.pk, at=now - 2 * MINUTE)
    grows = told(desk)

    assert stopped is not None
    assert grows is not None
    assert stopped.since == Message.objects.get(key="first").exhausted_at
    assert (stopped.goes_on, grows.goes_on) == (
        "none for 3 h: it has stopped",
        "1 more in the last 10 min: it is growing",
    )


def test_it_names_who_is_on_it_or_says_that_nobody_is(desk: Client) -> None:
    group = failure_group(stuck=1)

    assert "nobody sees to it yet" in desk.get("/admin/outbox/").text
    type(group).objects.update(owner="grace", state=GroupState.INVESTIGATING)
    assert "grace sees to it" in desk.get("/admin/outbox/").text


def test_what_is_ignored_makes_no_story(desk: Client) -> None:
    failure_group("ignored", stuck=5, failures=5, state=GroupState.IGNORED, ignored_up_to=10)
    failure_group("open", stuck=1)

    story = told(desk)

    assert story is not None
    assert story.headline == f"1 message of {ISSUE} waits for a person: the open jams"


def test_whoever_may_see_no_groups_is_told_the_count_and_not_the_cause(client: Client, viewer: User) -> None:
    failure_group(stuck=2)
    client.force_login(viewer)

    story = told(client)

    assert story is not None
    assert story.headline == f"2 messages of {ISSUE} wait for a person."
    assert story.url == f"/admin/outbox/message/?tab=failed&consumer={ISSUE}"


def test_what_belongs_to_no_group_is_told_by_its_consumer(desk: Client) -> None:
    wins.failed(consumer=ORDER, at=database_time() - timedelta(days=1))

    story = told(desk)

    assert story is not None
    assert (story.headline, story.link) == (f"1 message of {ORDER} waits for a person.", "Show what failed")
