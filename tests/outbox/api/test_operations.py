"""Bulk operations by the API: previewed, started, watched, stopped; a call that is repeated does nothing twice."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from outbox import operate
from outbox.bulk import operations, running, selection
from outbox.maintenance import pruning
from outbox.models import ApiAnswer, AuditEntry, BulkOperation, Heartbeat, Message
from outbox.models.bulk import BulkVerb
from outbox.operate.patch import Patch
from tests.harness.api import Answer, Program, member_of, program_of
from tests.harness.bulk import failed_messages, now, prepared, succeed
from tests.harness.desk import ISSUE, ORDER, failure_group, user, wins
from tests.harness.rows import attempt

pytestmark = pytest.mark.django_db(transaction=True)
REASON = "the vendor is back"


def prepare(program: Program, *, verb: str = "retry", key: str = "preview", **chosen: Any) -> Answer:
    return program.post("operations", {"verb": verb, "set": chosen or {"kind": "failed"}}, key=key)


def start(program: Program, id: int, *, key: str = "start", revision: int = 0, **options: Any) -> Answer:
    return program.post(f"operations/{id}/start", {"revision": revision, "reason": REASON, **options}, key=key)


def test_an_operation_is_previewed_started_watched_and_done(night: Program) -> None:
    failed_messages(7)

    preview = prepare(night)
    assert (preview.status, preview.body["state"], preview.body["total"]) == (201, "draft", 7)
    assert preview.body["preview"]["consumers"] == {ISSUE: 7}
    assert Message.objects.exhausted().count() == 7

    id = preview.body["id"]
    begun = start(night, id, rate=200, canary=5, stop_percent=10)
    assert (begun.status, begun.body["state"], begun.body["revision"]) == (200, "canary", 1)
    assert (begun.body["rate"], begun.body["canary"], begun.body["stop_percent"]) == (200, 5, 10)

    running.go_on()
    progress = night.get(f"operations/{id}").body["progress"]
    assert (progress["done"], progress["remaining"], progress["percent"]) == (5, 2, 71)
    for _pass in range(3):
        succeed()
        running.go_on()
    shown = night.get(f"operations/{id}").body
    assert (shown["state"], shown["succeeded"], shown["progress"]["percent"]) == ("done", 7, 100)


def test_what_was_done_to_it_is_in_the_audit_as_the_owner_s_by_the_token(night: Program) -> None:
    failed_messages(3)
    id = prepare(night).body["id"]
    start(night, id)

    entry = AuditEntry.objects.get(action="bulk_start")

    assert (entry.actor, entry.reason, entry.subject) == ("nora", REASON, f"bulk operation {id}")
    assert entry.origin == f"API token “night job” {night.token.prefix}, 127.0.0.1"
    assert BulkOperation.objects.get().origin == entry.origin


@pytest.mark.parametrize(
    ("kind", "total"),
    [
        ({"kind": "failed", "consumer": ORDER}, 1),
        ({"kind": "failed", "since_minutes": 60}, 4),
        ({"kind": "failed", "error": "card"}, 1),
        ({"kind": "failed", "owner": "lena"}, 1),
        ({"kind": "group", "group": "jam", "owner": "lena"}, 0),
        ({"kind": "group", "group": "jam"}, 2),
        ({"kind": "keys", "keys": ["jam 0", "jam 0", "nobody"]}, 1),
    ],
)
def test_a_set_is_chosen_as_by_the_command(night: Program, kind: dict[str, Any], total: int) -> None:
    failure_group("jam", stuck=2)
    wins.failed("one")
    theirs = wins.failed("two", consumer=ORDER)
    Message.objects.filter(key="one").update(last_error="Refused: CARD closed")
    operate.set_note(theirs.pk, revision=0, actor="lead", owner="lena")

    assert prepare(night, **kind).body.get("total", 0) == total


def test_a_set_is_a_list_of_ids_or_what_another_operation_has_done(night: Program) -> None:
    rows = failed_messages(4)
    closed = prepare(night, verb="discard", kind="ids", ids=[row.pk for row in rows[:2]], key="1").body
    assert closed["total"] == 2
    start(night, closed["id"])
    second = user("ben", "approve_bulk")
    operations.approve(closed["id"], revision=1, actor=second, reason="looked at them")
    running.go_on()

    undone = prepare(night, verb="reopen", kind="undo", operation=closed["id"], key="2")

    assert undone.body["total"] == 2
    assert prepare(night, kind="failed_again", operation=closed["id"], key="3").code == "not_allowed"
    assert prepare(night, kind="undo", operation=2_000_000_000, key="4").code == "not_found"


def test_a_start_that_is_repeated_is_answered_as_before_and_acts_once(night: Program) -> None:
    failed_messages(3)
    id = prepare(night).body["id"]

    first, second = start(night, id), start(night, id)

    assert (first.status, second.status) == (200, 200)
    assert first.body == second.body
    assert (first.headers.get("Idempotent-Replayed"), second.headers["Idempotent-Replayed"]) == (None, "true")
    assert AuditEntry.objects.filter(action="bulk_start").count() == 1


def test_a_preview_that_is_repeated_makes_one_operation(night: Program) -> None:
    failed_messages(3)

    answers = [prepare(night) for _call in range(3)]

    assert {(answer.status, answer.body["id"]) for answer in answers} == {(201, answers[0].body["id"])}
    assert BulkOperation.objects.count() == 1


@pytest.mark.services
def test_the_same_call_at_the_same_moment_acts_once(night: Program) -> None:
    failed_messages(3)
    beside = threading.Barrier(4)

    def call(_number: int) -> tuple[int, int]:
        try:
            beside.wait(10)
            answer = prepare(night)
            return answer.status, answer.body["id"]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        answers = set(threads.map(call, range(4)))

    assert len(answers) == 1
    assert BulkOperation.objects.count() == 1


def test_another_call_under_the_same_key_is_refused(night: Program) -> None:
    failed_messages(3)
    first = prepare(night).body["id"]

    assert prepare(night, kind="failed", consumer=ISSUE).code == "idempotency_key_reused"
    assert start(night, first, key="preview").code == "idempotency_key_reused"
    assert BulkOperation.objects.count() == 1


def test_a_key_is_a_token_s_own(night: Program) -> None:
    other = program_of(member_of("Outbox lead", name="omar"))
    failed_messages(3)

    assert prepare(night).body["id"] != prepare(other).body["id"]


def test_what_was_refused_may_be_tried_again_under_its_key(night: Program) -> None:
    assert prepare(night).code == "not_allowed"

    failed_messages(3)

    assert prepare(night).status == 201


def test_a_key_is_kept_for_a_day(night: Program) -> None:
    failed_messages(3)
    prepare(night)
    prepare(night, key="other")
    ApiAnswer.objects.filter(key="preview").update(at=F("at") - timedelta(days=1))

    assert prepare(night).status == 201
    assert BulkOperation.objects.count() == 3

    ApiAnswer.objects.update(at=F("at") - timedelta(days=1))
    Heartbeat.objects.all().delete()
    pruning.prune()
    assert ApiAnswer.objects.count() == 0


def test_a_start_without_a_key_is_refused(night: Program) -> None:
    failed_messages(3)
    id = prepare(night).body["id"]

    answer = start(night, id, key="")

    assert (answer.status, answer.code) == (422, "invalid")
    assert "Idempotency-Key" in answer.body["detail"]
    assert now(BulkOperation.objects.get()).state == "draft"


def test_an_operation_is_paused_resumed_and_cancelled_by_what_was_read(night: Program) -> None:
    failed_messages(3)
    id = prepare(night).body["id"]
    start(night, id)

    def act(name: str, revision: int) -> Answer:
        return night.post(f"operations/{id}/{name}", {"revision": revision, "reason": REASON})

    assert act("pause", 0).code == "conflict"
    assert act("pause", 1).body["state"] == "paused"
    assert act("pause", 2).code == "not_allowed"
    assert act("resume", 2).body["state"] == "running"
    assert act("cancel", 3).body["state"] == "cancelled"
    assert night.post("operations/2000000000/cancel", {"revision": 0, "reason": REASON}).code == "not_found"


def test_what_takes_a_second_person_waits_and_no_token_can_approve_it(night: Program) -> None:
    failed_messages(3)
    id = prepare(night, verb="discard", kind="failed").body["id"]

    begun = start(night, id)

    assert begun.body["state"] == "waiting"
    assert "second person" in begun.body["waits_for"]
    assert night.post(f"operations/{id}/approve", {"revision": 1, "reason": REASON}).status == 404
    with pytest.raises(operations.NotAllowed, match="started it yourself"):
        operations.approve(id, revision=1, actor=night.owner, reason="it was a program, not me")


def test_what_the_other_side_may_have_done_is_left_out_unless_one_says_so(night: Program) -> None:
    attempt(wins.failed(consumer=ORDER), 1, "lost")
    id = prepare(night).body["id"]

    assert start(night, id).code == "not_allowed"
    assert start(night, id, include_suspects=True).status == 200


def test_handled_in_bulk_takes_an_outcome_and_what_proves_it(night: Program) -> None:
    failed_messages(3)
    id = prepare(night, verb="handle", kind="failed").body["id"]

    assert start(night, id).code == "not_allowed"
    assert start(night, id, outcome="issued", evidence="the vendor's file").status == 200


def test_running_operations_takes_the_scope_of_what_is_done_to_each_message() -> None:
    failed_messages(3)
    program = program_of(member_of("Outbox lead"), "operations:run", "messages:retry")
    draft = prepared(verb="discard")

    assert prepare(program).status == 201
    refused = prepare(program, verb="discard", kind="failed", key="2")
    assert (refused.code, refused.body["scope"]) == ("scope_missing", "messages:close")
    assert start(program, draft.pk).code == "scope_missing"
    assert AuditEntry.objects.filter(action="api_refused").count() == 2


def test_an_edit_that_was_drafted_at_the_desk_is_for_no_token(night: Program) -> None:
    failed_messages(1)
    draft = operations.prepare(BulkVerb.EDIT, selection.failed(), patch=Patch(set={"points": 7}), actor="ada")

    refused = start(night, draft.pk)

    assert (refused.status, refused.code) == (403, "scope_missing")
    assert "No token is for this" in refused.body["detail"]
    assert AuditEntry.objects.filter(action="api_refused").count() == 1


def test_the_list_is_walked_to_its_end(night: Program) -> None:
    rows = BulkOperation.objects.bulk_create([BulkOperation(verb="retry", created_by="ada") for _n in range(120)])

    found: list[int] = []
    after, pages = None, 0
    while pages < 5:
        page = night.get("operations", **({"after": after} if after else {})).body
        found += [operation["id"] for operation in page["operations"]]
        pages, after = pages + 1, page["next"]
        if after is None:
            break

    assert (found, pages) == (sorted((row.pk for row in rows), reverse=True), 3)
