"""The desk says whether a retry would succeed, before anybody retries."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from outbox.maintenance.groups import LEAD
from outbox.models import AuditEntry, Message
from tests.harness.bulk import prepared
from tests.harness.desk import page_of, user
from tests.harness.messages import publish_failed
from tests.shop.models import Effect

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def failed(do: str = "") -> Message:
    return Message.objects.get(pk=publish_failed("shop.tried", do=do))


@pytest.mark.parametrize(
    ("do", "said"),
    [
        ("", "It would succeed now."),
        ("fail", "It would fail: ValueError: the till is jammed"),
        ("socket", "It cannot be rehearsed: the handler connects to the network"),
    ],
)
def test_a_message_says_what_a_retry_would_come_to_and_is_as_it_was(do: str, said: str, desk: Client) -> None:
    message = failed(do)
    assert "Would it work now?" in desk.get(page_of(message)).text

    answer = desk.post(page_of(message), {"act": "rehearse"})

    assert said in answer.text.replace("&#x27;", "'")
    now = Message.objects.get(pk=message.pk)
    assert (now.status, now.attempts, now.revision) == ("failed", 3, 0)
    assert not Effect.objects.exists()
    assert not AuditEntry.objects.exists()


def test_the_first_of_a_frozen_set_are_rehearsed_each_by_itself_and_together(client: Client) -> None:
    client.force_login(user("nora", *LEAD))
    for do in ["", "fail at COMMIT", "fail at COMMIT", "fail"]:
        failed(do)
    operation = prepared()
    assert "Rehearse the first 200" in client.get(page_of(operation)).text

    said = client.post(page_of(operation), {"act": "rehearse"}).text

    assert "shop.try_out: 3 of 4 messages would succeed, each by itself." in said
    assert "1 × It would fail: ValueError: the till is jammed" in said
    assert "Together, one after the other, 2 of 4 would succeed" in said
    assert Message.objects.exhausted().count() == 4


def test_who_may_not_retry_may_not_rehearse_and_others_are_not_asked(client: Client, viewer: User) -> None:
    message = failed()
    client.force_login(viewer)

    assert "Would it work now?" not in client.get(page_of(message)).text
    assert client.post(page_of(message), {"act": "rehearse"}).status_code == 403


def test_a_consumer_that_has_promised_nothing_is_not_offered(desk: Client) -> None:
    message = failed()
    Message.objects.filter(pk=message.pk).update(consumer="shop.book")

    assert "Would it work now?" not in desk.get(page_of(message)).text
    assert desk.post(page_of(message), {"act": "rehearse"}).status_code == 403
