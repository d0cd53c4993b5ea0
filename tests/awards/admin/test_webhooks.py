"""The page of a client's webhook: set, tried out, given a new secret, switched off, by those who may."""

import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.urls import reverse

from awards.models import ApiClient, Webhook
from tests.awards.admin.test_campaigns_in_the_admin import page_of, text
from tests.awards.clients.given import a_client
from tests.awards.clients.receiver import Receiver, a_receiver

pytestmark = pytest.mark.django_db

SECRET = re.compile(r"whsec_[\w+/=]{44}")


@pytest.fixture
def receiver(settings):
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    with a_receiver() as server:
        yield server


@pytest.fixture
def shop() -> ApiClient:
    return a_client()[0]


def address(shop: ApiClient) -> str:
    return reverse("admin:awards_apiclient_webhook", args=[shop.pk])


def secret_in(answer) -> str:
    found = SECRET.search(answer.content.decode())
    return found.group() if found else ""


def test_its_secret_is_shown_once_and_then_it_is_tried_out(desk, shop, receiver: Receiver):
    assert address(shop) in desk.get(page_of(shop)).content.decode()

    made = desk.post(address(shop), {"url": receiver.url})
    tried = desk.post(address(shop), {"url": receiver.url, "try": ""}, follow=True)

    webhook = Webhook.objects.get()
    assert secret_in(made) == webhook.secret
    assert "no-store" in made["Cache-Control"]
    assert (webhook.client_id, webhook.url, webhook.set_by) == (shop.pk, receiver.url, "maria")
    assert "The client answered 200." in text(tried)
    assert len(receiver.told) == 1
    assert secret_in(tried) == secret_in(desk.get(address(shop))) == ""


def test_a_try_that_fails_says_why(desk, shop, receiver: Receiver):
    desk.post(address(shop), {"url": receiver.url})
    receiver.statuses = [500]

    answered = text(desk.post(address(shop), {"try": ""}, follow=True))
    Webhook.objects.update(url="http://127.0.0.1:1/")
    unreachable = text(desk.post(address(shop), {"try": ""}, follow=True))

    assert "It did not work: the client's webhook answered 500" in unescape(answered)
    assert "It did not work: the client's webhook cannot be reached" in unescape(unreachable)


def test_a_new_secret_is_shown_once_and_the_earlier_one_stays_a_while(desk, shop, receiver: Receiver):
    first = secret_in(desk.post(address(shop), {"url": receiver.url}))

    second = secret_in(desk.post(address(shop), {"rotate": ""}))

    webhook = Webhook.objects.get()
    assert (webhook.secret, webhook.previous) == (second, first)
    assert "The earlier secret signs as well until" in text(desk.get(address(shop)))


def test_switched_off_it_is_on_again_once_the_address_is_saved(desk, shop, receiver: Receiver):
    secret = secret_in(desk.post(address(shop), {"url": receiver.url}))

    off = text(desk.post(address(shop), {"off": ""}, follow=True))
    assert not Webhook.objects.get().active
    desk.post(address(shop), {"url": receiver.url})

    assert "Switched off: the client is told nothing." in off
    webhook = Webhook.objects.get()
    assert (webhook.active, webhook.secret) == (True, secret)
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == [
        f"webhook {receiver.url}",
        "webhook: switched off",
        f"webhook {receiver.url}",
    ]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "This field is required"),
        ("shop", "This is no address that begins with https://."),
        ("http://169.254.169.254/latest/", "This host is not among those that may be told"),
        ("https://user:secret@127.0.0.1/", "Leave name and password out of the address"),
        ("https://127.0.0.1/\u200b", "Take out the character U+200B"),
    ],
)
def test_an_address_that_must_not_be_called_is_refused(desk, shop, receiver, url, said):
    answer = desk.post(address(shop), {"url": url})

    assert said in text(answer)
    assert not Webhook.objects.exists()


def test_what_is_asked_of_a_webhook_that_is_not_there_does_nothing(desk, shop):
    for act in ("try", "rotate", "off"):
        assert desk.post(address(shop), {act: ""}).status_code == 302


def test_who_only_sees_clients_sees_no_webhook(client, django_user_model, shop):
    user = django_user_model.objects.create_user("vera", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_apiclient"))
    client.force_login(user)

    assert client.get(address(shop)).status_code == 403
    assert client.post(address(shop), {"url": "https://127.0.0.1/"}).status_code == 403


def test_a_client_whose_key_is_revoked_has_none_any_more(desk, shop):
    ApiClient.objects.revoke(shop, actor="maria")

    assert desk.get(address(shop)).status_code == 404
