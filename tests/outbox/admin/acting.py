"""What tests do as an operator does it: open a message's page and post its forms."""

from django.test import Client
from django.urls import reverse

from outbox.models import Message

LIST = "/admin/outbox/message/"


def url_of(message: Message, query: str = "") -> str:
    return reverse("admin:outbox_message_change", args=[message.pk]) + query


def retry(client: Client, message: Message, *, query: str = "", **fields: object):
    given = {"act": "retry", "revision": message.revision, "reason": "the till is mended", **fields}
    return client.post(url_of(message, query), given)
