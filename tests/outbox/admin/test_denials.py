"""Each act by a hand-made POST, of each group: whoever may not is refused, and the audit says who, what and why."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from outbox import audit, consumer, operate, registry
from outbox.books.declaring import forget_book
from outbox.errors import NotAllowed, NotRehearsable, PermissionMissing
from outbox.maintenance.groups import GROUPS, make_groups
from outbox.models import (
    AuditEntry,
    BulkOperation,
    ConsumerState,
    FailureGroup,
    Message,
)
from outbox.operate import denials
from outbox.operate.actions import PERMISSIONS, Action
from outbox.rehearsal import run
from tests.harness.desk import ISSUE, TOPIC, page_of, wins
from tests.outbox.admin.posts import ASKED, NOT_POSTED, POSTS, REASON, REHEARSED

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_book_is_left() -> Iterator[None]:
    yield
    forget_book("sales")


ROLES = [*GROUPS, "nobody"]


@pytest.fixture(autouse=True)
def question() -> Iterator[None]:
    consumer(TOPIC, name=ASKED, atomic=False, ask=lambda _message: None)(lambda _message: None)
    consumer(TOPIC, name=REHEARSED, rehearsable=True)(lambda _message: None)
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


@pytest.mark.parametrize("post", ["retry", "rehearse", "edit", "retry of many"])
def test_why_is_the_permission_and_not_the_reader_s_words(post: str) -> None:
    needed, make = POSTS[post]
    client, _user = somebody("Outbox viewer")
    address, given = make()

    client.post(address, given, headers={"Accept-Language": "zh-hans"})

    assert [entry.before["why"] for entry in denied()] == [PERMISSIONS[needed[0]]]


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
