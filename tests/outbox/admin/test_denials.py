"""Each act by a hand-made POST, of each group: whoever may not is refused, and the audit says who, what and why."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from outbox import audit, operate, registry
from outbox.errors import NotAllowed, NotRehearsable, PermissionMissing
from outbox.maintenance.groups import GROUPS, make_groups
from outbox.models import AuditEntry, BulkOperation, ConsumerState, FailureGroup, Message, SavedView
from outbox.operate import denials
from outbox.operate.actions import PERMISSIONS, Action
from outbox.rehearsal import run
from tests.harness.api import program_of
from tests.harness.bulk import prepared, started
from tests.harness.desk import ISSUE, TOPIC, failure_group, page_of, wins
from tests.harness.rows import Rows, proof

pytestmark = pytest.mark.django_db(transaction=True)

ASKED, REHEARSED = "desk.asked", "desk.rehearsed"
asked_rows = Rows(ASKED, topic=TOPIC, attempt_limit=3)
rehearsed_rows = Rows(REHEARSED, topic=TOPIC, attempt_limit=3)
REASON = {"reason": "by hand", "revision": 0}
PREPARE = "admin:outbox_bulkoperation_prepare"
Posted = tuple[str, dict[str, Any]]


def on_message(make: Callable[..., Message], **given: Any) -> Callable[[], Posted]:
    def post() -> Posted:
        return page_of(make()), {**REASON, **given}

    return post


def doubled() -> Message:
    message = wins.success()
    proof(message, retried_at=message.finished_at)
    return message


def waiting() -> Message:
    message = wins.pending()
    Message.objects.filter(pk=message.pk).update(not_before="2999-01-01T00:00:00Z")
    return message


def edit() -> Posted:
    message = wins.failed()
    given = {**REASON, "payload": '{"award": 18}', "step": "save"}
    return reverse("admin:outbox_message_edit", args=[message.pk]), given


def retry_of_many() -> Posted:
    message = wins.failed()
    return reverse("admin:outbox_message_retry_selected"), {"pick": f"{message.pk}:0", "confirmed": 1, **REASON}


def on_operation(make: Callable[[], BulkOperation], act: Action) -> Callable[[], Posted]:
    def post() -> Posted:
        wins.failed()
        operation = make()
        return page_of(operation), {"act": act.value, "reason": "by hand", "revision": operation.revision}

    return post


def discarding() -> BulkOperation:
    return started(verb="discard")


def triage() -> Posted:
    given = {**REASON, "act": "triage", "state": "investigating", "was": "new"}
    return page_of(failure_group(stuck=1)), given


def on_consumer(act: str) -> Callable[[], Posted]:
    def post() -> Posted:
        if act == "resume":
            ConsumerState.objects.create(consumer=ISSUE, paused_at="2026-01-01T00:00:00Z", paused_by="x")
        seen = "2026-01-01T00:00:00+00:00" if act == "resume" else ""
        return page_of(ConsumerState(pk=ISSUE)), {"act": act, "reason": "by hand", "seen": seen}

    return post


def prepare(verb: str) -> Callable[[], Posted]:
    def post() -> Posted:
        wins.failed()
        return reverse(PREPARE), {"verb": verb, "all": "1", **({"rename": "award = prize"} if verb == "edit" else {})}

    return post


def merge() -> Posted:
    other = failure_group("drawer")
    return page_of(failure_group()), {"act": "merge", "revision": 0, "into": other.pk}


def split() -> Posted:
    root, member = failure_group(), failure_group("drawer")
    FailureGroup.objects.filter(pk=member.pk).update(merged_into=root.pk)
    return page_of(root), {"act": "split", "member": member.pk, "revision": 0}


def on_view(act: str) -> Callable[[], Posted]:
    def post() -> Posted:
        view = SavedView.objects.create(owner="ada.byron", name="mine", query="tab=failed")
        given = {"act": act, "view": view.pk, "revision": 0, "name": "other", "query": "tab=failed"}
        return reverse("admin:outbox_message_saved_views"), given

    return post


def revoke() -> Posted:
    token = program_of(User.objects.create_user("tim")).token
    return page_of(token), {"act": "token_revoke", "reason": "by hand"}


def make_token() -> Posted:
    given = {"name": "night job", "scopes": ["messages:read"], "days": "30", "reason": "by hand"}
    return reverse("admin:outbox_apitoken_make"), given


POSTS: dict[str, tuple[list[Action], Callable[[], Posted]]] = {
    "retry": ([Action.RETRY], on_message(wins.failed, act="retry")),
    "retry of many": ([Action.RETRY], retry_of_many),
    "edit": ([Action.EDIT, Action.REVEAL], edit),
    "handle": (
        [Action.HANDLE],
        on_message(wins.failed, act="handle", outcome="issued", kind="order", evidence="ORDER-7"),
    ),
    "discard": ([Action.DISCARD], on_message(wins.failed, act="discard", confirm="on")),
    "reopen": ([Action.REOPEN], on_message(wins.discarded, act="reopen")),
    "acknowledge": ([Action.ACKNOWLEDGE], on_message(doubled, act="acknowledge")),
    "hurry": ([Action.HURRY], on_message(waiting, act="hurry")),
    "withdraw": ([Action.WITHDRAW], on_message(wins.pending, act="withdraw", confirm="on")),
    "replay": (
        [Action.REPLAY],
        on_message(wins.success, act="replay", confirm="on", consumer=ISSUE, identity="new"),
    ),
    "ask": ([Action.ASK], on_message(asked_rows.failed, act="ask")),
    "rehearse": ([Action.REHEARSE], on_message(rehearsed_rows.failed, act="rehearse")),
    "reveal": ([Action.REVEAL], on_message(wins.failed, act="reveal")),
    "pause": ([Action.PAUSE], on_consumer("pause")),
    "resume": ([Action.RESUME], on_consumer("resume")),
    "triage": ([Action.TRIAGE], triage),
    "merge": ([Action.MERGE], merge),
    "split": ([Action.SPLIT], split),
    "note": ([Action.NOTE], on_message(wins.failed, act="note", owner="ada", text="seen")),
    "save a view": ([Action.SAVE_VIEW], on_view("save_view")),
    "rename a view": ([Action.RENAME_VIEW], on_view("rename_view")),
    "delete a view": ([Action.DELETE_VIEW], on_view("delete_view")),
    "make a token": ([Action.TOKEN_MAKE], make_token),
    "revoke a token": ([Action.TOKEN_REVOKE], revoke),
    **{
        f"prepare to {verb}": ([Action.BULK_START, Action(verb), *more], prepare(verb))
        for verb, more in {"retry": [], "handle": [], "discard": [], "edit": [Action.REVEAL]}.items()
    },
    "start": ([Action.BULK_START, Action.RETRY], on_operation(prepared, Action.BULK_START)),
    "approve": ([Action.BULK_APPROVE], on_operation(discarding, Action.BULK_APPROVE)),
    "pause the operation": ([Action.BULK_PAUSE], on_operation(started, Action.BULK_PAUSE)),
    "cancel": ([Action.BULK_CANCEL], on_operation(started, Action.BULK_CANCEL)),
}
NOT_POSTED = {Action.ERASE, Action.EXPORT, Action.BULK_RESUME}
"""By command alone; a file, by GET (below); as to pause."""
ROLES = [*GROUPS, "nobody"]


@pytest.fixture(autouse=True)
def question() -> Iterator[None]:
    registry.consumer(TOPIC, name=ASKED, atomic=False, ask=lambda _message: None)(lambda _message: None)
    registry.consumer(TOPIC, name=REHEARSED, rehearsable=True)(lambda _message: None)
    with mock.patch.object(run, "rehearse", side_effect=NotRehearsable("not here")):
        yield
    registry.forget_consumer(ASKED)
    registry.forget_consumer(REHEARSED)


def somebody(role: str) -> tuple[Client, User]:
    make_groups("default")
    user = User.objects.create_user("ada.byron", password="x", is_staff=True)
    if role in GROUPS:
        user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client, user


def everything() -> Any:
    models = (Message, FailureGroup, ConsumerState, BulkOperation)
    return [list(model.objects.order_by("pk").values()) for model in models]


def denied() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action=audit.DENIED))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("post", POSTS)
def test_each_act_of_each_group_is_done_or_refused_and_audited(post: str, role: str) -> None:
    needed, make = POSTS[post]
    client, user = somebody(role)
    if post == "rehearse" and connection.vendor == "sqlite":
        pytest.skip("nobody rehearses on SQLite")
    address, given = make()
    before, acts_before = everything(), AuditEntry.objects.count()
    lacks = [PERMISSIONS[act] for act in needed if not user.has_perm(PERMISSIONS[act])]

    answer = client.post(address, given, follow=True, headers={"User-Agent": "by hand"})

    if not lacks:
        assert answer.status_code == 200
        assert denied() == []
        return
    assert everything() == before
    [entry] = denied()
    assert AuditEntry.objects.count() == acts_before + 1, "nothing else was done"
    assert (entry.actor, entry.origin) == ("ada.byron", "127.0.0.1")
    assert entry.before["act"] in {*(act.value for act in needed), given.get("verb")}
    assert entry.message_id in (None, *Message.objects.values_list("pk", flat=True))
    assert entry.subject
    assert entry.before["why"]
    assert entry.after == {}
    assert audit.verify_chain() is None


def test_every_act_is_among_them() -> None:
    assert {act for needed, _make in POSTS.values() for act in needed} | NOT_POSTED == set(Action)


@pytest.mark.parametrize("role", ["Outbox viewer", "Outbox operator"])
def test_so_is_an_export(role: str) -> None:
    client, _user = somebody(role)
    wins.failed()

    client.get(reverse("admin:outbox_message_export"), {"tab": "failed", "consumer": ISSUE, "format": "csv"})

    assert [(entry.actor, entry.subject, entry.before) for entry in denied()] == [
        (
            "ada.byron",
            f"messages (tab: failed, consumer: {ISSUE}, format: csv)",
            {"act": "export", "why": "outbox.export_message"},
        )
    ]


def test_somebody_who_is_not_signed_in_is_noted_as_nobody() -> None:
    message = wins.failed()

    Client().post(page_of(message), {**REASON, "act": "retry"})

    [entry] = denied()
    assert (entry.actor, entry.message_id, entry.before["act"]) == (denials.NOBODY, message.pk, "retry")
    assert Message.objects.get().status == "failed"


def test_what_was_refused_is_named_however_it_was_given() -> None:
    message = wins.failed()
    _client, person = somebody("Outbox viewer")

    with pytest.raises(PermissionMissing):
        operate.discard(message_id=message.pk, revision=0, actor=person, reason="by hand")
    with pytest.raises(NotAllowed):
        operate.pause(reason="", actor="a script", seen=None, consumer=ISSUE)

    assert [(entry.subject, entry.message_id) for entry in denied()] == [
        (f"message {message.pk}", message.pk),
        (f"consumer {ISSUE}", None),
    ]


def test_nobody_floods_the_audit() -> None:
    client, _user = somebody("Outbox viewer")
    message = wins.failed()

    with mock.patch.object(denials, "AT_MOST", 3):
        for _n in range(5):
            client.post(page_of(message), {**REASON, "act": "retry"})

    assert len(denied()) == 3


def test_what_somebody_else_is_refused_is_noted_all_the_same() -> None:
    client, user = somebody("Outbox viewer")
    message = wins.failed()
    with mock.patch.object(denials, "AT_MOST", 1):
        client.post(page_of(message), {**REASON, "act": "retry"})
        User.objects.filter(pk=user.pk).update(username="ben")
        client.post(page_of(message), {**REASON, "act": "retry"})

    assert [entry.actor for entry in denied()] == ["ada.byron", "ben"]


def test_a_refusal_is_told_on_the_message_s_timeline_and_in_the_audit() -> None:
    client, _user = somebody("Outbox viewer")
    message = wins.failed()
    client.post(page_of(message), {**REASON, "act": "retry"})
    lead = Client()
    lead.force_login(User.objects.create_superuser("lead"))

    assert "ada.byron was refused: retry" in lead.get(page_of(message)).text
    assert "refused: retry" in lead.get("/admin/outbox/auditentry/?act=denied").text


def test_a_refusal_is_no_change_that_somebody_else_was_overtaken_by() -> None:
    client, _user = somebody("Outbox viewer")
    message = wins.failed()

    client.post(page_of(message), {**REASON, "act": "retry"})

    assert audit.last_act_on(message.pk) is None
