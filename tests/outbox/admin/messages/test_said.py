"""What was said with the other side, in the timeline of a message: masked until it is revealed."""

import pytest
from django.test import Client

from outbox import operate
from outbox.models import AttemptOutcome, AuditEntry, Exchange, Message
from tests.harness.desk import text_of, wins
from tests.harness.rows import attempt
from tests.outbox.admin.acting import url_of

pytestmark = pytest.mark.django_db(transaction=True)

ASKED, HEARD = '{"recipient": "ada@example.com", "sku": "MUG"}', "no such street: Ada Lovelace"


def say(message: Message, number: int = 1, request: str = ASKED, answer: str = HEARD, position: int = 0) -> None:
    Exchange.objects.create(message=message, number=number, position=position, request=request, answer=answer)


def exchanges_of(page) -> dict[str, list[tuple[str, str]]]:
    """Return what the page shows of the exchanges, by the title of the attempt."""
    return {
        event.title: [tuple(said) for said in event.exchanges] for event in page.context["events"] if event.exchanges
    }


def test_what_was_said_stands_with_its_attempt_and_says_nothing_of_anybody(desk: Client) -> None:
    message = wins.failed(attempts=2)
    attempt(message, 1)
    attempt(message, 2)
    say(message, 1)
    say(message, 2, answer="")

    page = desk.get(url_of(message))

    assert "ada@example.com" not in page.text
    assert "Lovelace" not in page.text
    masked = '{\n  "recipient": "•••",\n  "sku": "•••"\n}'
    assert exchanges_of(page) == {"Attempt 1: failed": [(masked, "•••")], "Attempt 2: failed": [(masked, "")]}
    assert "What was said with the other side" in text_of(page)


def test_whoever_reveals_the_payload_reads_it_and_the_audit_knows(desk: Client) -> None:
    message = wins.failed(attempts=1)
    attempt(message, 1)
    say(message)

    page = desk.post(url_of(message), {"act": "reveal"})

    assert "ada@example.com" in page.text
    assert HEARD in text_of(page)
    assert AuditEntry.objects.get().action == "reveal"


def test_a_success_shows_it_as_well_and_a_late_result_has_it_of_two_rows_of_one_attempt(desk: Client) -> None:
    done, overtaken = wins.success("1"), wins.failed("2", attempts=2)
    say(done)
    attempt(overtaken, 1, AttemptOutcome.LOST)
    attempt(overtaken, 1, AttemptOutcome.LATE)
    say(overtaken, 1, position=0)
    say(overtaken, 1, position=1)

    assert list(exchanges_of(desk.get(url_of(done)))) == ["Attempt 1: success"]
    [(title, said)] = exchanges_of(desk.get(url_of(overtaken))).items()
    assert (title, len(said)) == ("Attempt 1: too late", 2)


@pytest.mark.parametrize("text", ["[" * 3_000, "{", "5", '"Ada"'])
def test_text_that_is_hardly_json_is_masked_whole(desk: Client, text: str) -> None:
    message = wins.success()
    say(message, answer=text)

    [[(_request, answer)]] = exchanges_of(desk.get(url_of(message))).values()

    assert answer == "•••"


def test_erasing_a_message_erases_what_was_said(desk: Client, lead) -> None:
    message = wins.success()
    say(message)

    operate.erase([message.pk], actor=lead, reason="asked to")

    assert Exchange.objects.values_list("request", "answer").get() == ("", "")
