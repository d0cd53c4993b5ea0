"""Who may do what by the API: our four groups and nobody, each call; what is refused changes nothing and is audited."""

from collections.abc import Callable
from typing import Any

import pytest

from outbox.models import AuditEntry, BulkOperation, ConsumerState, Message
from outbox.operate.actions import API_REFUSED
from tests.harness.api import member_of, program_of
from tests.harness.bulk import prepared, started
from tests.harness.desk import ISSUE, failure_group, wins

pytestmark = pytest.mark.django_db(transaction=True)

VIEWER, OPERATOR, LEAD, AUDITOR = "Outbox viewer", "Outbox operator", "Outbox lead", "Outbox auditor"
EVERYBODY = (VIEWER, OPERATOR, LEAD, AUDITOR)
TOLD = {"revision": 0, "reason": "the till is mended"}
EVIDENCE = {"outcome": "issued", "evidence": "V-1"}
PAUSE = {"seen": None, "reason": "the vendor is down"}

Given = Callable[[], tuple[str, Any]]


def on_message(act: str, *, waits: bool = False, **more: Any) -> Given:
    def give() -> tuple[str, Any]:
        message = wins.pending() if waits else wins.failed()
        return f"messages/{message.pk}/{act}", {**TOLD, **more}

    return give


def on_operation(act: str, **more: Any) -> Given:
    def give() -> tuple[str, Any]:
        wins.failed()
        operation = prepared() if act == "start" else started()
        if act == "resume":
            BulkOperation.objects.update(state="paused")
        return f"operations/{operation.pk}/{act}", {**TOLD, "revision": operation.revision, **more}

    return give


def preview() -> tuple[str, Any]:
    wins.failed()
    return "operations", {"verb": "retry", "set": {"kind": "failed"}}


def resume_consumer() -> tuple[str, Any]:
    state = ConsumerState.objects.create(consumer=ISSUE, paused_at="2026-01-01T00:00:00+00:00", paused_by="ada")
    state.refresh_from_db()
    return f"consumers/{ISSUE}/resume", {"seen": state.paused_at.isoformat(), "reason": "it is back"}


READS: dict[str, tuple[Given, tuple[str, ...]]] = {
    "list messages": (lambda: ("messages", None), EVERYBODY),
    "search": (lambda: ("search?text=1", None), EVERYBODY),
    "show a message": (lambda: (f"messages/{wins.failed().pk}", None), EVERYBODY),
    "reveal a payload": (lambda: (f"messages/{wins.failed().pk}/payload", None), (OPERATOR, LEAD)),
    "list operations": (lambda: ("operations", None), EVERYBODY),
    "show an operation": (lambda: (f"operations/{(wins.failed(), prepared())[1].pk}", None), EVERYBODY),
    "status": (lambda: ("status", None), EVERYBODY),
    "list consumers": (lambda: ("consumers", None), EVERYBODY),
    "show a consumer": (lambda: (f"consumers/{ISSUE}", None), EVERYBODY),
    "list groups": (lambda: ("failure-groups", None), EVERYBODY),
    "show a group": (lambda: (f"failure-groups/{failure_group().pk}", None), EVERYBODY),
}
ACTS: dict[str, tuple[Given, tuple[str, ...]]] = {
    "retry": (on_message("retry"), (OPERATOR, LEAD)),
    "handle": (on_message("handle", **EVIDENCE), (OPERATOR, LEAD)),
    "discard": (on_message("discard"), (LEAD,)),
    "withdraw": (on_message("withdraw", waits=True), (LEAD,)),
    "preview an operation": (preview, (LEAD,)),
    "start an operation": (on_operation("start"), (LEAD,)),
    "pause an operation": (on_operation("pause"), (LEAD,)),
    "resume an operation": (on_operation("resume"), (LEAD,)),
    "cancel an operation": (on_operation("cancel"), (LEAD,)),
    "pause a consumer": (lambda: (f"consumers/{ISSUE}/pause", PAUSE), (LEAD,)),
    "resume a consumer": (resume_consumer, (LEAD,)),
}


def everything() -> list[Any]:
    """Return what a call might have changed."""
    return [
        list(Message.objects.order_by("pk").values("pk", "status", "resolution", "revision")),
        list(BulkOperation.objects.order_by("pk").values("pk", "state", "revision")),
        list(ConsumerState.objects.values("pk", "paused_at")),
    ]


@pytest.mark.parametrize("group", [*EVERYBODY, ""], ids=lambda group: group or "nobody")
@pytest.mark.parametrize("name", [*READS, *ACTS])
def test_each_call_is_for_those_whose_permission_it_takes(name: str, group: str) -> None:
    give, allowed = {**READS, **ACTS}[name]
    program = program_of(member_of(group))
    path, body = give()
    before, entries = everything(), AuditEntry.objects.count()

    answer = program.call("POST" if name in ACTS else "GET", path, body, headers={"Idempotency-Key": "1"})

    if group in allowed:
        assert answer.status in (200, 201), answer.body
        return
    assert (answer.status, answer.code) == (403, "permission_missing")
    assert everything() == before
    [entry] = AuditEntry.objects.order_by("pk")[entries:]
    assert (entry.action, entry.actor) == (API_REFUSED, program.owner.username)
    assert answer.body["permission"] in entry.reason
    assert entry.after["path"].endswith(path.partition("?")[0])


@pytest.mark.parametrize("name", [*READS, *ACTS])
def test_each_call_takes_a_token(name: str) -> None:
    path, body = {**READS, **ACTS}[name][0]()
    program = program_of(member_of(LEAD))
    before = everything()

    answer = program.call("POST" if name in ACTS else "GET", path, body, headers={"Authorization": ""})

    assert (answer.status, answer.code) == (401, "token_missing")
    assert everything() == before
