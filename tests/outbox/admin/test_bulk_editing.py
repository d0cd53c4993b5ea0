"""Editing a whole set at the desk: a change for every payload, its preview, and what it does not fit."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from outbox.models import BulkOperation, Message, PayloadVersion
from outbox.models.bulk import BulkState
from tests.harness.bulk import failed_messages, go_on
from tests.harness.desk import failure_group, page_of, text_of, user, wins

pytestmark = pytest.mark.django_db(transaction=True)

PREPARE = reverse("admin:outbox_bulkoperation_prepare")
MAY = (
    *("view_message", "view_failuregroup", "view_bulkoperation", "retry_message"),
    *("edit_payload", "view_payload", "bulk_message"),
)
NOTHING = {"rename": "", "set": "", "remove": ""}


@pytest.fixture
def night(client: Client) -> Client:
    client.force_login(user("nora", *MAY))
    return client


def prepare(client: Client, **posted: Any) -> Any:
    return client.post(PREPARE, {"verb": "edit", **posted}, follow=True)


def test_from_the_failure_group_to_the_edited_messages(night: Client) -> None:
    group = failure_group("jam", stuck=3)
    there = night.get(page_of(group))
    assert "Edit and retry all…" in text_of(there)

    asked = prepare(night, group=group.pk)
    assert '"winner": "•••"' in text_of(asked)
    assert f'name="group" value="{group.pk}"' in asked.content.decode()
    preview = prepare(night, group=group.pk, **{**NOTHING, "rename": "winner = person", "set": 'city = "Bonn"\nn=12'})
    assert "Edit and retry 3 messages" in text_of(preview)
    for change in ("rename “winner” to “person”", 'set “city” to "Bonn"', "set “n” to 12"):
        assert change in text_of(preview)
    assert not PayloadVersion.objects.exists()

    [operation] = BulkOperation.objects.all()
    page = page_of(operation)
    night.post(page, {"act": "bulk_start", "revision": 0, "reason": "renamed", "canary": 0, "stop_percent": ""})
    go_on(operation)

    payloads = list(Message.objects.values_list("payload", flat=True))
    assert payloads == [{"award": 17, "lines": [1, None], "person": "ada@example.com", "city": "Bonn", "n": 12}] * 3


def test_picked_rows_are_carried_on_with_the_revision_that_was_shown(night: Client) -> None:
    messages = failed_messages(3)
    picks = [f"{message.pk}:0" for message in messages[:2]]

    asked = prepare(night, pick=picks)
    assert asked.content.decode().count('name="pick"') == 2
    prepare(night, pick=picks, **{**NOTHING, "remove": "lines"})

    operation = BulkOperation.objects.get()
    assert (operation.total, operation.patch["remove"]) == (2, ["lines"])


@pytest.mark.parametrize(
    ("posted", "said"),
    [
        ({}, "what is to be changed"),
        ({"rename": "winner"}, "a key, =, and what it becomes"),
        ({"set": "city = Bonn"}, "no JSON"),
        ({"set": "n = 1\nn = 2"}, "twice"),
        ({"rename": "a = b\na = c"}, "twice"),
        ({"set": "n = " + "9" * 5000}, "digits"),
        ({"set": 'n = "\\u0000"'}, "NUL"),
        ({"set": 'n = "\\ud800"'}, "surrogate"),
        ({"set": "n = 1e999"}, "JSON does not have"),
    ],
)
def test_what_is_wrong_with_the_change_is_said_and_what_was_typed_stays(
    night: Client, posted: dict[str, str], said: str
) -> None:
    wins.failed("7")

    answer = prepare(night, all="1", **{**NOTHING, **posted})

    assert said in text_of(answer)
    for text in posted.values():
        assert " ".join(text.split()) in text_of(answer)
    assert not BulkOperation.objects.exists()


def test_the_preview_says_of_each_sample_whether_the_change_fits(night: Client) -> None:
    wins.failed("fits")
    wins.failed("lacks", payload={"award": 18})

    preview = prepare(night, all="1", **{**NOTHING, "rename": "winner = person"})

    assert text_of(preview).count("The change does not fit") == 1
    assert text_of(preview).count("The change fits.") == 1


def test_the_rest_is_said_after_the_run(night: Client) -> None:
    wins.failed("fits")
    wins.failed("lacks", payload={"award": 18})
    prepare(night, all="1", **{**NOTHING, "rename": "winner = person"})
    operation = BulkOperation.objects.get()
    page = page_of(operation)

    night.post(page, {"act": "bulk_start", "revision": 0, "reason": "renamed", "canary": 0, "stop_percent": ""})
    operation = go_on(operation)

    assert (operation.state, operation.done, operation.refused) == (BulkState.RUNNING, 1, 1)
    answer = night.get(f"{page}?show=refused")
    assert "The payload has no “winner”." in text_of(answer)


def test_who_may_not_see_payloads_sees_the_keys_alone(night: Client, client: Client) -> None:
    wins.failed("7")
    prepare(night, all="1", **{**NOTHING, "set": 'iban = "DE02"'})
    page = page_of(BulkOperation.objects.get())
    client.force_login(user("viewer", "view_bulkoperation"))

    text = text_of(client.get(page))

    assert "iban" in text
    assert "DE02" not in text


@pytest.mark.parametrize("lacks", ["edit_payload", "view_payload", "bulk_message"])
def test_without_the_permission_nothing_is_prepared(client: Client, lacks: str) -> None:
    wins.failed("7")
    client.force_login(user("nearly", *(set(MAY) - {lacks})))

    page = client.get(reverse("admin:outbox_message_changelist")).text
    assert re.search(rf'value="edit"[^>]*disabled title="[^"]*outbox.{lacks}[^"]*"\s*>Edit and retry all…', page)
    prepare(client, all="1", **{**NOTHING, "remove": "lines"})

    assert not BulkOperation.objects.exists()
