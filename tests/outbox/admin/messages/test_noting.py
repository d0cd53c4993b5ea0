"""Who sees to a message: written on its page, read in the queue, and the queue of what one sees to oneself."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from outbox import operate
from outbox.models import Note
from tests.harness.desk import text_of, user, wins
from tests.outbox.admin.acting import LIST, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(client: Client) -> User:
    ada = user("ada", "view_message", "note_message", "retry_message", "bulk_message")
    client.force_login(ada)
    return ada


def take(client: Client, message, **fields: object):
    return client.post(url_of(message), {"act": "note", "revision": 0, "owner": "", "text": "", **fields})


def test_one_takes_a_message_by_one_button_and_everybody_reads_it(ada: User, client: Client, viewer: User) -> None:
    message = wins.failed("7")
    assert "I see to it" in text_of(client.get(url_of(message)))

    answer = take(client, message, take="1", text="asked the vendor")

    assert answer.status_code == 302
    page = client.get(url_of(message))
    assert "I see to it" not in text_of(page)
    client.force_login(viewer)
    said = text_of(client.get(url_of(message)))
    assert "asked the vendor" in said
    assert "ada wrote on the message" in said
    assert "ada sees to it" in text_of(client.get(LIST))


def test_what_was_typed_stays_where_somebody_was_faster(ada: User, client: Client) -> None:
    message = wins.failed("7")
    operate.set_note(message.pk, revision=0, actor="bob", owner="bob")

    said = take(client, message, owner="ada", text="typed in vain")

    assert "bob wrote on the message since you looked" in text_of(said)
    assert "typed in vain" in said.text
    assert Note.objects.get().owner == "bob"
    assert take(client, message, revision=1, owner="ada").status_code == 302


def test_without_the_permission_it_is_shown_closed_and_refused(client: Client, viewer: User) -> None:
    client.force_login(viewer)
    message = wins.failed("7")

    assert "outbox.note_message" in text_of(client.get(url_of(message)))
    assert "outbox.note_message" in text_of(take(client, message, owner="viewer"))
    assert not Note.objects.exists()


def test_the_queue_of_ones_own_holds_no_others_in_any_tab(ada: User, client: Client) -> None:
    mine, bobs, _nobodys = wins.failed("mine"), wins.failed("bob's"), wins.failed("nobody's")
    waits = wins.pending("waits")
    for message, owner in [(mine, "ada"), (bobs, "bob"), (waits, "ada")]:
        operate.set_note(message.pk, revision=0, actor="lead", owner=owner)

    page = client.get(LIST, {"mine": "1"})

    assert [message.key for message, _subject in page.context["rows"]] == ["mine"]
    assert "Seen to by you: 1 message." in text_of(page)
    pending = client.get(LIST, {"tab": "pending", "mine": "1"})
    assert [message.key for message, _subject in pending.context["rows"]] == ["waits"]
    assert all("mine=1" in url for _tab, _count, url in page.context["tabs"])
    assert len(client.get(LIST).context["rows"]) == 3
    none = client.get(LIST, {"tab": "discarded", "mine": "1"})
    assert "There is nothing of that here." in text_of(none)


def test_the_next_failed_message_is_the_next_of_ones_own(ada: User, client: Client) -> None:
    messages = [wins.failed(str(n)) for n in range(3)]
    for message in (messages[0], messages[2]):
        operate.set_note(message.pk, revision=0, actor="lead", owner="ada")

    page = client.get(url_of(messages[2], "?_changelist_filters=mine%3D1"))

    assert page.context["next_failed"] == messages[0].pk


def test_what_waits_behind_a_message_is_named_on_its_page_and_it_on_theirs(ada: User, client: Client) -> None:
    head = wins.failed("head", ordering_key="account 7")
    behind = [wins.pending(str(n), ordering_key="account 7") for n in range(7)]

    page = client.get(url_of(head))

    assert list(page.context["behind"]) == [message.pk for message in behind[:5]]
    assert "and 2 more" in text_of(page)
    assert f"behind message {head.pk}" in text_of(client.get(url_of(behind[3])))
