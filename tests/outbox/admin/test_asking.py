"""Asking the other side at the desk: one message's page, and a set's."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from outbox import consumer, registry
from outbox.models import AttemptOutcome, AuditEntry, Message
from tests.harness.bulk import prepared
from tests.harness.desk import TOPIC, page_of, text_of, user, wins
from tests.harness.rows import Rows, acts_done, attempt

pytestmark = pytest.mark.django_db(transaction=True)

ASKED = "desk.asked"
MAY = ("view_message", "view_bulkoperation", "bulk_message", "retry_message", "resolve_message")
asked_rows = Rows(ASKED, topic=TOPIC, attempt_limit=3)


@pytest.fixture
def vendor() -> Iterator[dict[str, Any]]:
    """What the other side has, by business id; an error is raised."""
    book: dict[str, Any] = {}

    def ask(message: Message) -> str | None:
        found = book.get(message.key)
        if isinstance(found, Exception):
            raise found
        return found

    consumer(TOPIC, name=ASKED, atomic=False, ask=ask)(lambda _message: None)
    yield book
    registry.forget_consumer(ASKED)


@pytest.fixture
def night(client: Client) -> Client:
    client.force_login(user("nora", *MAY))
    return client


def ask(client: Client, row: Any) -> Any:
    return client.post(page_of(row), {"act": "ask"})


def test_what_the_other_side_has_is_the_evidence_to_handle_it_with(vendor: dict[str, Any], night: Client) -> None:
    vendor["7"] = "ORDER-77"
    message = asked_rows.failed("7")
    assert "Ask the other side" in text_of(night.get(page_of(message)))

    answer = ask(night, message)

    assert "The other side has it, as “ORDER-77”" in text_of(answer)
    page = answer.content.decode()
    assert re.search(r'<input[^>]*name="evidence"[^>]*value="ORDER-77"|value="ORDER-77"[^>]*name="evidence"', page)
    assert re.search(r'data-act="handle"[^>]*\sopen', page)
    assert AuditEntry.objects.get().action == "ask"


@pytest.mark.parametrize(
    ("known", "said"), [(None, "knows nothing of it"), (TimeoutError("away"), "could not be asked: TimeoutError: away")]
)
def test_it_says_so_where_the_other_side_has_nothing_or_is_away(
    vendor: dict[str, Any], night: Client, known: Any, said: str
) -> None:
    vendor["7"] = known

    assert said in text_of(ask(night, asked_rows.failed("7")))


def test_without_a_question_or_the_permission_it_is_not_offered(vendor: dict[str, Any], client: Client) -> None:
    client.force_login(user("viewer", "view_message"))
    message = asked_rows.failed("7")

    page = client.get(page_of(message)).text
    assert re.search(r"disabled\s*>Ask the other side</button>\s*<span[^>]*>[^<]*outbox.retry_message", page)
    assert ask(client, message).status_code == 403
    client.force_login(user("nora", *MAY))
    assert ask(client, wins.failed("8")).status_code == 403
    assert not acts_done().exists()


def test_a_set_is_asked_about_where_it_may_have_acted_first(vendor: dict[str, Any], night: Client) -> None:
    messages = [asked_rows.failed(str(number)) for number in range(4)]
    attempt(messages[3], outcome=AttemptOutcome.LOST)
    vendor.update({"3": "ORDER-3", "1": TimeoutError("away")})
    operation = prepared()
    assert operation.preview["left_out"] == {"may_have_acted": 1}

    said = text_of(ask(night, operation))

    assert "1: the other side has it already." in said
    assert "2: it knows nothing of them." in said
    assert "1 could not be asked about: TimeoutError: away" in said
    assert AuditEntry.objects.earliest("id").message_id == messages[3].pk


def test_a_set_of_others_is_not_asked_about(vendor: dict[str, Any], night: Client) -> None:
    wins.failed("7")
    operation = prepared()

    assert "Ask it about" not in text_of(night.get(page_of(operation)))
    assert ask(night, operation).status_code == 403
