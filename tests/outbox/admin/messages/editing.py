"""What tests of the editing page post to it, and read of it."""

import json
import re
from typing import Any

from django.test import Client
from django.urls import reverse

from outbox.models import Message
from tests.harness.desk import text_of

OLD = {"award": 17, "winner": "ada@example.com", "lines": [1, None]}
NEW = {**OLD, "winner": "bob@example.com"}
MAY = ("view_message", "edit_payload", "view_payload", "retry_message")


def edit_page(message: Message) -> str:
    return reverse("admin:outbox_message_edit", args=[message.pk])


def post(client: Client, message: Message, payload: Any = NEW, *, step: str = "preview", **more: Any) -> Any:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    posted = {"revision": message.revision, "reason": "the address was wrong", "payload": text, "step": step, **more}
    return client.post(edit_page(message), posted, follow=True)


def seen_on(answer: Any) -> str:
    found = re.search(r'name="seen" value="([0-9a-f]{64})"', answer.content.decode())
    assert found, text_of(answer)
    return found[1]
