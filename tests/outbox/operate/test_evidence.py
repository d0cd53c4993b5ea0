"""What proves that a message was handled: kept for good, proving one message, and asked about before a retry."""

from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from outbox import operate
from outbox.errors import EvidenceTaken, NotAllowed
from outbox.maintenance import pruning
from outbox.models import AuditEntry, Evidence, EvidenceKind, HandledAs, Message
from outbox.operate import messages
from tests.harness.desk import wins
from tests.harness.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def handle(message: Message, text: str = "ORDER-77", *, actor: Any = "ada", **given: Any) -> Message:
    asked = {"reason": "by phone", "outcome": HandledAs.ISSUED, **given}
    return operate.mark_handled(message.pk, revision=message.revision, actor=actor, evidence=text, **asked)


def reopen(message: Message, **given: Any) -> Message:
    return operate.reopen(message.pk, revision=message.revision, actor="ada", reason="a mistake", **given)


def retry(message: Message, **given: Any) -> Message:
    return operate.retry(message.pk, revision=message.revision, actor="ada", reason="again", **given)


@pytest.mark.parametrize("again", ["ORDER-77", " order-77 ", "ＯＲＤＥＲ-７７", "Order - 77"])
def test_one_order_number_proves_one_message_however_it_is_typed(again: str) -> None:
    first, second = wins.failed("1"), wins.failed("2")
    handle(first)

    with pytest.raises(EvidenceTaken) as refused:
        handle(second, again)

    assert refused.value.message_id == first.pk
    assert f"message {first.pk}" in str(refused.value)
    second.refresh_from_db()
    assert (second.status, second.revision, Evidence.objects.count()) == ("failed", 0, 1)


@pytest.mark.parametrize(
    "other",
    [
        {"text": "ORDER-78"},
        {"kind": EvidenceKind.NOTE},
        {"outcome": HandledAs.COMPENSATED},
    ],
    ids=["another number", "a note", "not issued"],
)
def test_what_proves_nothing_twice_is_taken(other: dict[str, Any]) -> None:
    handle(wins.failed("1"))

    handle(wins.failed("2"), **{"text": "ORDER-77", **other})

    assert Evidence.objects.count() == 2


@pytest.mark.services
def test_of_two_who_prove_two_messages_by_one_number_at_once_one_is_told(lead: User) -> None:
    first, second = wins.failed("1"), wins.failed("2")

    def attempt(message: Message) -> str:
        try:
            handle(message, actor="ada")
        except EvidenceTaken as refused:
            return str(refused.message_id)
        return "handled"

    answers = at_once(partial(attempt, first), partial(attempt, second))

    assert sorted(answer == "handled" for answer in answers) == [False, True]
    assert Evidence.objects.issued().count() == 1
    assert Message.objects.filter(resolution="handled").count() == 1


def test_a_number_taken_between_the_look_and_the_write_is_told_and_nothing_is_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = wins.failed("1"), wins.failed("2")
    real = messages.keep_evidence

    def somebody_is_faster(row: Evidence) -> None:
        monkeypatch.setattr(messages, "keep_evidence", real)
        handle(first)
        real(row)

    monkeypatch.setattr(messages, "keep_evidence", somebody_is_faster)

    with pytest.raises(EvidenceTaken) as refused:
        handle(second)

    # The other's act was part of this one's transaction, and was taken back with it.
    assert refused.value.message_id == first.pk
    second.refresh_from_db()
    assert (second.status, Evidence.objects.count()) == ("failed", 0)


@pytest.mark.parametrize("text", ["javascript:alert(1)", "vendor.example/7", "ftp://vendor.example"])
def test_a_link_is_an_address_of_the_web(text: str) -> None:
    message = wins.failed()

    with pytest.raises(NotAllowed, match="http"):
        handle(message, text, kind=EvidenceKind.LINK)

    handle(message, "https://vendor.example/7", kind=EvidenceKind.LINK)


def test_reopening_keeps_the_evidence_and_the_same_number_proves_the_same_message_again() -> None:
    message = handle(wins.failed())

    message = reopen(message)
    assert [row.text for row in Evidence.objects.standing()] == ["ORDER-77"]

    handle(message, actor="bob")
    [row] = Evidence.objects.all()
    assert (row.actor, row.retracted_at) == ("bob", None)


def test_evidence_that_was_wrong_proves_another_message_and_stays_on_record() -> None:
    first, second = handle(wins.failed("1")), wins.failed("2")

    reopened = reopen(first, evidence_wrong=True)
    handle(second)
    retry(reopened)

    assert [(row.message_id, row.retracted_at is None) for row in Evidence.objects.order_by("id")] == [
        (first.pk, False),
        (second.pk, True),
    ]


def test_what_was_issued_is_retried_only_by_somebody_who_knows_of_it() -> None:
    message = reopen(handle(wins.failed()))

    with pytest.raises(NotAllowed, match="issued already, by “ORDER-77”"):
        retry(message)

    assert retry(message, despite_evidence=True).status == "pending"


@pytest.mark.parametrize("outcome", [HandledAs.COMPENSATED, HandledAs.NOT_DUE])
def test_what_was_not_issued_is_retried_without_a_question(outcome: HandledAs) -> None:
    message = reopen(handle(wins.failed(), outcome=outcome))

    assert retry(message).status == "pending"


def test_the_command_asks_for_the_same_knowledge(capsys: pytest.CaptureFixture[str]) -> None:
    message = reopen(handle(wins.failed()))
    given = ("outbox_retry", str(message.pk), "--reason", "again", "--actor", "ada")

    with pytest.raises(CommandError):
        call_command(*given)
    assert "issued already" in capsys.readouterr().err

    call_command(*given, "--despite-evidence")
    message.refresh_from_db()
    assert message.status == "pending"


def test_the_audit_keeps_a_seal_and_never_the_text() -> None:
    message = reopen(handle(wins.failed()), evidence_wrong=True)

    entries = list(AuditEntry.objects.filter(message_id=message.pk).order_by("id"))

    seal = Evidence.objects.get().seal
    assert [(each.before.get("evidence"), each.after.get("evidence")) for each in entries] == [("", seal), (seal, "")]
    assert "ORDER-77" not in str([(each.before, each.after, each.reason, each.subject) for each in entries])


def test_evidence_goes_with_its_message() -> None:
    message = handle(wins.failed())

    pruning._remove_messages([message.pk])

    assert not Evidence.objects.exists()


def url_of(message: Message) -> str:
    return reverse("admin:outbox_message_change", args=[message.pk])


def test_the_page_shows_what_proves_it_and_who_said_so(desk: Client) -> None:
    message = handle(wins.failed(), "https://vendor.example/7?a=1&b=2", kind=EvidenceKind.LINK)

    page = desk.get(url_of(message))

    assert '<a href="https://vendor.example/7?a=1&amp;b=2" rel="noopener noreferrer nofollow"' in page.text
    assert "issued outside the system, link:" in page.text
    assert "evidence: – → https://vendor.example/7?a=1&amp;b=2" in page.text


def test_a_refused_number_leads_to_the_message_that_it_proves(desk: Client) -> None:
    first, second = wins.failed("1"), wins.failed("2")
    handle(first, "<b>7</b>")

    page = desk.post(
        url_of(second),
        {"act": "handle", "revision": 0, "reason": "x", "outcome": "issued", "kind": "order", "evidence": "<b>7</b>"},
    )

    assert f'<a href="{url_of(first)}">Open that message</a>' in page.text
    assert "&lt;b&gt;7&lt;/b&gt;” proves another message" in page.text


def test_retrying_on_the_page_asks_whether_one_knows_of_the_evidence(desk: Client) -> None:
    message = reopen(handle(wins.failed()))
    posted = {"act": "retry", "revision": message.revision, "reason": "again"}

    page = desk.get(url_of(message))
    refused = desk.post(url_of(message), posted)
    done = desk.post(url_of(message), {**posted, "confirm": "on"})

    assert "I know that it was issued, by ORDER-77 (ada)" in page.text
    assert "It was issued by hand, as ORDER-77 proves (ada, " in page.text
    assert refused.status_code == 200
    assert done.status_code == 302
    message.refresh_from_db()
    assert message.status == "pending"


def test_reopening_on_the_page_can_call_the_evidence_wrong(desk: Client) -> None:
    message = handle(wins.failed())

    desk.post(url_of(message), {"act": "reopen", "revision": 1, "reason": "a mistake", "evidence_wrong": "on"})

    assert "called wrong" in desk.get(url_of(message)).text
    assert not Evidence.objects.standing().exists()


def test_messages_are_found_by_what_proves_them(desk: Client) -> None:
    handle(wins.failed("the one"))
    wins.failed("the other")

    page = desk.get(reverse("admin:outbox_message_changelist"), {"q": "order-77"})

    assert "the one" in page.text
    assert "the other" not in page.text


def test_what_was_issued_is_left_out_of_a_retry_of_many(desk: Client) -> None:
    issued, failed = reopen(handle(wins.failed("1"))), wins.failed("2")
    picks = [f"{each.pk}:{each.revision}" for each in (issued, failed)]

    page = desk.post(reverse("admin:outbox_message_retry_selected"), {"pick": picks})

    assert "It was issued already, by “ORDER-77”. Open the message, then decide." in page.text
    assert f'value="{failed.pk}:0"' in page.text
    assert f'value="{issued.pk}:{issued.revision}"' not in page.text
