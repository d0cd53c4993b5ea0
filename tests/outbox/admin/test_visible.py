"""No page of the desk shows a character that turns or hides the text around it."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from outbox import operate
from outbox.admin.visible import make_visible
from outbox.models import ApiToken, ConsumerState
from tests.harness.api import program_of
from tests.harness.bulk import prepared
from tests.harness.desk import ISSUE, failure_group, user, wins

pytestmark = pytest.mark.django_db(transaction=True)

TURNED = "ab\u202etxe.gpj"
MAY = ("view_message", "view_failuregroup", "view_bulkoperation", "view_consumerstate", "view_audit", "view_auditentry")


def test_what_turns_text_is_written_out_and_what_languages_need_stays() -> None:
    assert make_visible("a\u202eb\x00c\u2067d") == "a⟨U+202E⟩b⟨U+0000⟩c⟨U+2067⟩d"
    kept = "颁奖 👩\u200d🔧 שלום\u200f نعم\u200c\t\r\n"
    assert make_visible(kept) == kept


@pytest.fixture
def pages(client: Client) -> dict[str, Any]:
    """Such a character in whatever can be written from outside, on each page that shows it."""
    client.force_login(user("viewer", *MAY, is_superuser=True))
    group = failure_group("jam", title=f"error {TURNED}", stuck=1)
    message = wins.failed(TURNED, last_error=f"ValueError: {TURNED}", failure=group.pk)
    ConsumerState.objects.create(consumer=ISSUE, paused_by=TURNED, paused_reason=TURNED, paused_at=message.created_at)
    operate.discard(wins.failed("8").pk, revision=0, actor="ada", reason="x")
    operation = prepared()
    token = program_of(user("ben"), name="night job").token
    ApiToken.objects.update(name=TURNED, owner=TURNED)
    addresses = {
        "queue": reverse("admin:outbox_message_changelist"),
        "message": reverse("admin:outbox_message_change", args=[message.pk]),
        "edit": reverse("admin:outbox_message_edit", args=[message.pk]),
        "groups": reverse("admin:outbox_failuregroup_changelist"),
        "group": reverse("admin:outbox_failuregroup_change", args=[group.pk]),
        "consumers": reverse("admin:outbox_consumerstate_changelist"),
        "consumer": reverse("admin:outbox_consumerstate_change", args=[ISSUE]),
        "audit": reverse("admin:outbox_auditentry_changelist"),
        "bulk": reverse("admin:outbox_bulkoperation_change", args=[operation.pk]),
        "tokens": reverse("admin:outbox_apitoken_changelist"),
        "token": reverse("admin:outbox_apitoken_change", args=[token.pk]),
    }
    return {name: client.get(address) for name, address in addresses.items()}


def test_no_page_shows_it(pages: dict[str, Any]) -> None:
    found = {name: (answer.status_code, answer.content.decode()) for name, answer in pages.items()}

    assert {name: status for name, (status, _text) in found.items() if status != 200} == {}
    assert [name for name, (_status, text) in found.items() if "\u202e" in text] == []
    shows = {name for name, (_status, text) in found.items() if "U+202E" in text}
    assert shows >= {"queue", "message", "edit", "groups", "group", "consumer", "audit", "bulk", "tokens", "token"}


def test_json_is_shown_alike_where_it_is_read_and_where_it_is_edited(client: Client) -> None:
    client.force_login(user("viewer", is_superuser=True))
    message = wins.failed("7", payload={"city": "Bo\u200bnn"})
    page = reverse("admin:outbox_message_change", args=[message.pk])

    edited = client.get(reverse("admin:outbox_message_edit", args=[message.pk])).text
    revealed = client.post(page, {"act": "reveal"}).text

    assert ["Bo\\u200bnn" in text for text in (edited, revealed)] == [True, True]
