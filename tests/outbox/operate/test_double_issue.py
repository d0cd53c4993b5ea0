"""What was issued by hand and by the machine as well is said, until an operator acknowledges it."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from outbox import operate
from outbox.delivery import chunks, execution, settling
from outbox.delivery.execution import Report
from outbox.errors import NotAllowed, Superseded
from outbox.models import AuditEntry, Evidence, HandledAs, Message
from outbox.monitoring.finding import Level, What
from outbox.monitoring.findings import DOUBLES_NAMED
from outbox.monitoring.health import health
from outbox.monitoring.metrics import exposition
from outbox.policy import Succeeded
from tests.harness.desk import ISSUE, wins
from tests.harness.rows import proof
from tests.harness.threads import in_thread

pytestmark = pytest.mark.django_db(transaction=True)


def handle(message: Message, outcome: HandledAs = HandledAs.ISSUED, text: str = "ORDER-77") -> Message:
    return operate.mark_handled(
        message.pk, revision=message.revision, actor="ada", reason="by phone", outcome=outcome, evidence=text
    )


def reopen(message: Message, **given: Any) -> Message:
    return operate.reopen(message.pk, revision=message.revision, actor="ada", reason="a mistake", **given)


def issue_again(message: Message, **given: Any) -> Message:
    """Reopen what was handled, retry it and let the machine do it."""
    message = reopen(message, **given)
    known = {} if given else {"despite_evidence": True}
    operate.retry(message.pk, revision=message.revision, actor="ada", reason="again", **known)
    chunks.deliver(ISSUE, [message.pk])
    message.refresh_from_db()
    assert message.status == "success"
    return message


def doubled() -> list[str]:
    return [each.subject for each in health().findings if each.what == What.DOUBLED]


def acknowledge(message: Message, actor: Any = "ada") -> Message:
    return operate.acknowledge(message.pk, revision=message.revision, actor=actor, reason="the vendor took one back")


def test_a_success_after_it_was_issued_by_hand_is_an_alarm_until_it_is_acknowledged(lead: User) -> None:
    message = issue_again(handle(wins.failed()))

    [finding] = [each for each in health().findings if each.what == What.DOUBLED]
    assert (finding.level, finding.subject, finding.figure) == (Level.CRITICAL, str(message.pk), 1)
    assert "issued by hand (ORDER-77) and by the machine as well" in finding.sentence
    assert b"outbox_double_issues 1.0" in exposition()

    acknowledged = acknowledge(message, lead)

    assert doubled() == []
    assert b"outbox_double_issues 0.0" in exposition()
    assert (acknowledged.status, acknowledged.revision) == ("success", message.revision + 1)
    entry = AuditEntry.objects.order_by("-id").first()
    assert entry is not None
    assert (entry.action, entry.actor, entry.reason) == ("acknowledge", "lead", "the vendor took one back")


@pytest.mark.parametrize(
    "how",
    [
        lambda: issue_again(handle(wins.failed(), HandledAs.NOT_DUE)),
        lambda: issue_again(handle(wins.failed()), evidence_wrong=True),
        lambda: reopen(handle(wins.failed())),
        lambda: handle(wins.failed()),
    ],
    ids=["it was not due", "the evidence was wrong", "only reopened", "only handled"],
)
def test_what_was_issued_once_is_no_alarm(how: Any) -> None:
    how()

    assert doubled() == []


def late(message: Message, error: BaseException | None = None) -> None:
    """Let a worker come with a result that nobody waits for any more."""
    report = Report(message, Succeeded()) if error is None else execution.classify(message, error)
    in_thread(lambda: settling.record_late(report))


@pytest.mark.parametrize("error", [None, TimeoutError("the vendor"), Superseded("too late")], ids=repr)
@pytest.mark.parametrize("outcome", HandledAs)
def test_a_handler_that_acted_after_the_message_was_handled_is_an_alarm(
    error: BaseException | None, outcome: HandledAs
) -> None:
    message = handle(wins.failed(), outcome)

    late(message, error)

    assert doubled() == [str(message.pk)]


def test_a_handler_that_came_late_and_did_nothing_is_no_alarm() -> None:
    late(handle(wins.failed()), ValueError("no such article"))

    assert doubled() == []


def test_a_late_result_before_anybody_handled_it_was_seen_by_whoever_did() -> None:
    message = wins.failed()
    late(message)

    handle(message)

    assert doubled() == []


def test_a_second_late_result_is_said_although_the_first_was_acknowledged() -> None:
    message = handle(wins.failed())
    late(message)
    acknowledge(message)

    late(message)

    assert doubled() == [str(message.pk)]


def test_nothing_is_acknowledged_that_is_no_alarm(lead: User) -> None:
    with pytest.raises(NotAllowed, match="no double issue"):
        acknowledge(handle(wins.failed()), lead)

    assert not AuditEntry.objects.filter(action="acknowledge").exists()


def test_who_may_not_settle_may_not_acknowledge(viewer: User) -> None:
    message = issue_again(handle(wins.failed()))

    with pytest.raises(NotAllowed, match="resolve_message"):
        acknowledge(message, viewer)


def test_very_many_are_named_up_to_a_limit_and_counted_beyond() -> None:
    for n in range(DOUBLES_NAMED + 2):
        proof(wins.success(str(n)), retried_at="2026-01-01T00:00Z")

    findings = [each for each in health().findings if each.what == What.DOUBLED]

    assert len(findings) == DOUBLES_NAMED + 1
    assert "2 messages" in findings[-1].sentence


def test_the_page_says_it_first_and_takes_the_acknowledgement(desk: Client) -> None:
    message = issue_again(handle(wins.failed()))
    url = reverse("admin:outbox_message_change", args=[message.pk])

    page = desk.get(url)
    assert "Issued twice, as it seems: by hand (ORDER-77, ada) and by the machine" in page.text
    assert 'data-act="acknowledge"' in page.text

    done = desk.post(url, {"act": "acknowledge", "revision": message.revision, "reason": "seen to"}, follow=True)

    assert "no alarm speaks of it any more" in done.text
    assert "lead acknowledged the double issue" in done.text
    assert "Done: attempt" in done.text
    assert 'data-act="acknowledge"' not in done.text


def test_operations_and_the_command_say_it(desk: Client, capsys: pytest.CaptureFixture[str]) -> None:
    message = issue_again(handle(wins.failed()))

    page = desk.get(reverse("admin:app_list", args=["outbox"]))
    with pytest.raises(SystemExit):
        call_command("outbox_status")

    assert f'href="{reverse("admin:outbox_message_change", args=[message.pk])}">Open the message' in page.text
    assert f"message {message.pk} was issued by hand (ORDER-77)" in capsys.readouterr().out


def test_one_message_is_one_alarm_to_people() -> None:
    first = issue_again(handle(wins.failed("1")))
    second = issue_again(handle(wins.failed("2"), text="ORDER-78"))

    about = [each.about for each in health().findings if each.what == What.DOUBLED]

    assert about == [f"doubled:{first.pk}", f"doubled:{second.pk}"]
    assert Evidence.objects.doubled().count() == 2
