"""A message's timeline: who is said to have done what."""

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from outbox import audit, operate
from outbox.bulk import selection
from outbox.models import HandledAs, Message
from outbox.models.bulk import BulkVerb
from tests.harness.bulk import go_on, prepared, started
from tests.harness.clock import SECOND
from tests.harness.desk import user, wins
from tests.outbox.admin.acting import retry, url_of
from tests.outbox.audit.entries import noted_at

pytestmark = pytest.mark.django_db(transaction=True)

GAVE_UP = "The machine gave up; a person is needed"


def titles(desk: Client, message: Message) -> list[str]:
    """Return the lines of the message's timeline."""
    return [event.title for event in desk.get(url_of(message)).context["events"]]


@pytest.fixture
def reopened() -> Message:
    """A message that a person has closed and then reopened."""
    message = wins.failed()
    operate.discard(message.pk, revision=0, actor="ada", reason="a test")
    operate.reopen(message.pk, revision=1, actor="ada", reason="wrong row")
    return Message.objects.get()


def close_and_reopen_in_bulk() -> None:
    """Mark all that failed as handled, and undo it, both by a bulk operation."""
    handled = go_on(started(verb=BulkVerb.HANDLE, outcome=HandledAs.COMPENSATED, evidence="vouchers"))
    go_on(started(selection.to_undo(handled), verb=BulkVerb.REOPEN))


@pytest.mark.parametrize("after", ["", audit.ASKED, audit.NOTED, audit.REHEARSED, "reveal", "acknowledge"])
def test_what_a_person_reopened_the_machine_has_not_given_up(desk: Client, reopened: Message, after: str) -> None:
    if after:
        noted_at(0 * SECOND, action=after, message_id=reopened.pk)

    assert GAVE_UP not in titles(desk, reopened)


def test_it_has_not_either_once_somebody_was_refused_an_act_on_it(desk: Client, reopened: Message) -> None:
    stranger = Client()
    stranger.force_login(user("stranger", "view_message"))
    retry(stranger, reopened)

    told = titles(desk, reopened)

    assert "stranger was refused: retry" in told
    assert GAVE_UP not in told


def test_nor_where_a_bulk_operation_has_reopened_it(desk: Client) -> None:
    message = wins.failed()
    close_and_reopen_in_bulk()

    assert GAVE_UP not in titles(desk, message)


def test_it_has_where_a_message_was_retried_in_bulk_after_it_was_reopened(desk: Client, reopened: Message) -> None:
    go_on(started())
    Message.objects.update(attempts=F("attempts") + 1, status="failed", exhausted_at=Now(), finished_at=Now())

    assert GAVE_UP in titles(desk, reopened)


def test_it_has_where_nobody_has_done_anything(desk: Client, lead: User) -> None:
    message = wins.failed()
    operate.reveal(message.pk, actor=lead)
    prepared()

    assert GAVE_UP in titles(desk, message)
