"""Who is let in: a token that is valid, for what its scopes cover and its owner may do now."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db.models.functions import Now
from django.test import Client

from outbox import operate
from outbox.errors import PermissionMissing
from outbox.models import ApiToken, AuditEntry
from outbox.operate import denials, tokens
from outbox.operate.actions import API_REFUSED
from tests.harness.api import API, Program, member_of, program_of, read
from tests.harness.desk import wins

pytestmark = pytest.mark.django_db(transaction=True)


def refusals() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action=API_REFUSED).order_by("pk"))


@pytest.mark.parametrize("header", ["", "Basic bm9yYTpzZWNyZXQ=", "mg_abc"])
def test_without_a_bearer_token_nobody_is_let_in(header: str) -> None:
    answer = read(Client().get(f"{API}messages", headers={"Authorization": header} if header else {}))

    assert (answer.status, answer.code) == (401, "token_missing")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="outbox"'


@pytest.mark.parametrize("secret", ["", "mg_", "mg_" + "x" * 43, "x" * 9_000, "mg_ü", "mg_\x00"])
def test_an_unknown_token_is_refused_and_the_audit_is_not_filled_with_it(secret: str) -> None:
    answer = read(Client().get(f"{API}messages", headers={"Authorization": f"Bearer {secret}"}))

    assert (answer.status, answer.code) == (401, "token_unknown")
    assert refusals() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"revoked_at": Now(), "revoked_by": "ben"}, "token_revoked"),
        ({"expires_at": Now()}, "token_expired"),
        ({"owner_key": "999999"}, "token_owner_inactive"),
        ({"owner_key": "no number"}, "token_owner_inactive"),
    ],
)
def test_a_token_that_is_over_gives_nothing_and_the_audit_has_who_tried(changes, code: str) -> None:
    program = program_of(member_of("Outbox lead"), **changes)

    answers = [program.get("messages"), program.get("messages")]

    assert [(answer.status, answer.code) for answer in answers] == [(401, code)] * 2
    [entry] = refusals()
    assert (entry.actor, entry.subject) == ("lead", f"{program.token}: GET outbox/api/v1/messages: {code}")


def test_who_is_no_longer_active_takes_the_token_along(night: Program) -> None:
    assert night.get("messages").status == 200

    night.owner.is_active = False
    night.owner.save()

    assert night.get("messages").code == "token_owner_inactive"


def test_a_session_is_not_looked_at(night: Program) -> None:
    client = Client()
    client.force_login(night.owner)

    assert client.get(f"{API}messages").status_code == 401
    assert client.post(f"{API}messages/1/retry", {}, "application/json").status_code == 401


def test_a_token_needs_no_csrf_token(night: Program) -> None:
    message = wins.failed()
    client = Client(enforce_csrf_checks=True)

    answer = client.post(
        f"{API}messages/{message.pk}/retry",
        {"revision": 0, "reason": "the till is mended"},
        "application/json",
        headers={"Authorization": f"Bearer {night.secret}"},
    )

    assert answer.status_code == 200
    assert client.cookies == {}


def test_a_scope_gives_no_more_than_it_says(hints) -> None:
    program = program_of(member_of("Outbox lead"), "messages:read")
    message = wins.failed()

    answer = program.post(f"messages/{message.pk}/retry", {"revision": 0, "reason": "the till is mended"})

    assert (answer.status, answer.code, answer.body["scope"]) == (403, "scope_missing", "messages:retry")
    [entry] = refusals()
    assert (entry.actor, entry.after) == ("lead", {"path": f"{API}messages/{message.pk}/retry"})
    assert "night job" in entry.origin
    assert program.token.prefix in entry.origin
    message.refresh_from_db()
    assert message.revision == 0


def test_a_scope_gives_no_more_than_its_owner_may_do_now(night: Program) -> None:
    messages = [wins.failed("1"), wins.failed("2")]
    told = {"revision": 0, "reason": "the till is mended"}
    assert night.post(f"messages/{messages[0].pk}/retry", told).status == 200

    [group] = night.owner.groups.all()
    group.permissions.remove(Permission.objects.get(codename="retry_message"))
    answer = night.post(f"messages/{messages[1].pk}/retry", told)

    assert (answer.status, answer.code, answer.body["permission"]) == (
        403,
        "permission_missing",
        "outbox.retry_message",
    )


def test_what_is_refused_again_and_again_is_noted_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    program = program_of(member_of("Outbox viewer"))
    told = {"revision": 0, "reason": "the till is mended"}

    for number in range(5):
        program.post(f"messages/{number + 1}/retry", told)
        program.post(f"messages/{number + 1}/discard", told)
    assert len(refusals()) == 2

    monkeypatch.setattr(tokens, "REFUSED_AGAIN", timedelta(0))
    program.post("messages/1/retry", told)
    assert len(refusals()) == 3


def test_refusals_of_one_person_are_bounded_wherever_they_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "AT_MOST", 2)
    program = program_of(member_of("Outbox viewer"))
    told = {"revision": 0, "reason": "the till is mended"}

    for act in ("retry", "discard", "withdraw"):
        program.post(f"messages/1/{act}", told)
    with pytest.raises(PermissionMissing):
        operate.retry(1, actor=program.owner, **told)

    assert len(refusals()) == AuditEntry.objects.filter(action__in=denials.REFUSALS).count() == 2


def test_what_the_audit_keeps_of_a_refusal_is_in_no_reader_s_language() -> None:
    program = program_of(member_of("Outbox viewer"))

    program.call("GET", "messages/1/payload", headers={"Accept-Language": "zh-hans"})

    assert [entry.reason for entry in refusals()] == ["outbox.view_payload"]


def test_when_it_was_last_used_is_written_down_once_a_minute(night: Program) -> None:
    night.get("messages")
    first = ApiToken.objects.get().last_used_at
    night.get("messages")
    assert ApiToken.objects.get().last_used_at == first

    ApiToken.objects.update(last_used_at=Now() - timedelta(seconds=61))
    night.get("messages")
    assert ApiToken.objects.get().last_used_at > first
