"""The audit as a file: what is shown and no more, erased texts as erased, and a note of who took it."""

import io
import zipfile

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from outbox import operate
from outbox.models import AuditEntry
from tests.harness.clock import HOUR
from tests.harness.desk import text_of, user, wins
from tests.harness.rows import acts_done
from tests.outbox.admin.messages.test_exporting import rows_of
from tests.outbox.audit.entries import append_actions, noted_at

pytestmark = pytest.mark.django_db(transaction=True)

EXPORT = reverse("admin:outbox_auditentry_export")


@pytest.fixture
def auditor(client: Client) -> Client:
    client.force_login(user("olga", "view_audit", "export_message"))
    return client


def taken(client: Client, **narrowed: str) -> list[dict[str, str]]:
    return rows_of(client.get(EXPORT, {"format": "csv", **narrowed}))


def test_a_file_has_every_entry_of_all_pages_the_newest_first(auditor: Client) -> None:
    made = append_actions(*[HOUR] * 120)

    assert [int(row["entry"]) for row in taken(auditor)] == made[::-1]


def test_it_is_narrowed_down_as_the_list_is(auditor: Client) -> None:
    append_actions(HOUR)
    noted_at(HOUR, actor="ben", reason="=HYPERLINK(1)")

    [row] = taken(auditor, actor="ben", act="retry", reason="hyper", within="24h")

    assert (row["who"], row["act"], row["reason"]) == ("ben", "retry", "'=HYPERLINK(1)")
    assert taken(auditor, operation="7") == []


def test_erased_texts_are_shown_as_erased(auditor: Client, lead: User) -> None:
    message = wins.failed()
    operate.discard(message.pk, revision=0, actor=lead, reason="Ada Lovelace asked for it")
    operate.erase([message.pk], actor=lead, reason="they asked for it")

    [row] = taken(auditor, about=str(message.pk))

    assert (row["reason"], row["before"], row["after"], row["texts"]) == ("", "", "", "erased")


def test_a_workbook_has_the_same_rows(auditor: Client) -> None:
    noted_at(HOUR, reason="once upon a time")

    answer = auditor.get(EXPORT, {"format": "xlsx"})
    book = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))

    assert "once upon a time" in book.read("xl/worksheets/sheet1.xml").decode()


def test_the_audit_notes_who_took_it(auditor: Client) -> None:
    append_actions(HOUR)

    taken(auditor, actor="ada")

    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.actor, entry.subject) == ("export", "olga", "audit")
    assert entry.after == {"actor": "ada", "format": "csv"}


def test_it_takes_both_permissions(client: Client) -> None:
    append_actions(HOUR)
    client.force_login(user("viewer", "view_audit"))

    page = client.get(reverse("admin:outbox_auditentry_changelist"))
    answer = client.get(EXPORT, {"format": "csv"}, follow=True)

    assert "format=csv" not in page.text
    assert "export_message" in text_of(answer)
    assert acts_done().count() == 1


@pytest.mark.parametrize("form", ["", "pdf", "csv\0"])
def test_another_format_is_not_there(auditor: Client, form: str) -> None:
    assert auditor.get(EXPORT, {"format": form}).status_code == 404
