"""Health, consumers and failure groups by the API."""

import pytest

from outbox.models import AuditEntry, ConsumerState
from tests.harness.api import Program
from tests.harness.desk import ISSUE, failure_group, wins
from tests.harness.rows import all_is_well

pytestmark = pytest.mark.django_db(transaction=True)
REASON = "the vendor is down"


def test_the_status_says_what_health_says(night: Program) -> None:
    all_is_well()
    wins.failed("1")
    wins.pending("2")

    status = night.get("status").body

    assert (status["level"], status["failed"], status["pending"]) == ("warning", 1, 1)
    [first, *_others] = status["findings"]
    assert (first["level"], first["what"], first["subject"]) == ("warning", "exhausted", ISSUE)


def test_every_consumer_is_there_with_its_figures(night: Program) -> None:
    wins.failed("1")

    found = {each["name"]: each for each in night.get("consumers").body["consumers"]}

    assert (found[ISSUE]["failed"], found[ISSUE]["paused"], found[ISSUE]["in_code"]) == (1, False, True)


def test_a_consumer_is_paused_and_resumed_by_what_was_read(night: Program) -> None:
    paused = night.post(f"consumers/{ISSUE}/pause", {"seen": None, "reason": REASON, "minutes": 15})
    assert (paused.status, paused.body["paused"], paused.body["paused_by"]) == (200, True, "nora")
    assert paused.body["paused_until"] is not None
    seen = paused.body["paused_at"]
    assert night.get(f"consumers/{ISSUE}").body["paused_at"] == seen

    assert night.post(f"consumers/{ISSUE}/pause", {"seen": None, "reason": REASON}).code == "conflict"
    assert night.post(f"consumers/{ISSUE}/resume", {"seen": "yesterday", "reason": REASON}).code == "conflict"
    assert night.post(f"consumers/{ISSUE}/resume", {"seen": seen, "reason": REASON}).body["paused"] is False
    assert night.post(f"consumers/{ISSUE}/resume", {"seen": seen, "reason": REASON}).status == 409

    entries = AuditEntry.objects.filter(subject=ISSUE).order_by("pk")
    assert [(entry.action, entry.actor) for entry in entries] == [("pause", "nora"), ("resume", "nora")]
    assert {entry.origin for entry in entries} == {f"API token “night job” {night.token.prefix}, 127.0.0.1"}


@pytest.mark.parametrize("name", ["nobody", "x" * 300, "a%00b", "%FF", ".."])
def test_a_consumer_that_nobody_knows_is_nothing(night: Program, name: str) -> None:
    assert night.get(f"consumers/{name}").status == 404
    assert night.post(f"consumers/{name}/pause", {"seen": None, "reason": REASON}).status == 404
    assert not ConsumerState.objects.exists()


def test_failure_groups_are_listed_the_most_stuck_first(night: Program) -> None:
    few, many = failure_group("few", stuck=1), failure_group("many", stuck=3, failures=9)
    failure_group("old", state="fixed")

    listed = night.get("failure-groups").body["groups"]

    assert [(group["fingerprint"], group["stuck"]) for group in listed] == [(many.pk, 3), (few.pk, 1)]
    assert len(night.get("failure-groups", state="all", consumer=ISSUE).body["groups"]) == 3
    assert night.get(f"failure-groups/{many.pk}").body["failures"] == 9
    assert night.get("failure-groups/nothing").code == "not_found"
