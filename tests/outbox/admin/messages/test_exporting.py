"""The queue as a file: all of what is shown, nothing that a spreadsheet would run, and a note of who took it."""

import csv
import io
import zipfile
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from outbox import operate
from outbox.admin import sheets
from outbox.models import AuditEntry
from tests.harness.desk import ISSUE, ORDER, failure_group, user, wins
from tests.harness.rows import acts_done

pytestmark = pytest.mark.django_db(transaction=True)

EXPORT = reverse("admin:outbox_message_export")


@pytest.fixture
def auditor(client: Client) -> Client:
    client.force_login(user("olga", "view_message", "export_message"))
    return client


def rows_of(answer: Any) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:])))


def taken(client: Client, **narrowed: str) -> list[dict[str, str]]:
    return rows_of(client.get(EXPORT, {"format": "csv", **narrowed}))


def test_a_file_has_all_that_the_list_has_on_every_page(auditor: Client) -> None:
    for number in range(120):
        wins.failed(str(number))
    wins.success("done")

    rows = taken(auditor)

    assert [row["business id"] for row in rows] == [str(number) for number in reversed(range(120))]
    assert {row["status"] for row in rows} == {"failed"}


def test_it_is_narrowed_down_as_the_list_is(auditor: Client) -> None:
    group = failure_group("jam", stuck=2)
    wins.failed("other", consumer=ORDER)
    wins.success("done")

    assert len(taken(auditor, group=group.pk)) == 2
    assert [row["consumer"] for row in taken(auditor, consumer=ORDER)] == [ORDER]
    assert [row["business id"] for row in taken(auditor, tab="success")] == ["done"]
    assert len(taken(auditor, tab="all")) == 4


def test_of_ones_own_messages_it_has_no_others(auditor: Client) -> None:
    mine, _others = wins.failed("mine"), wins.failed("other")
    operate.set_note(mine.pk, revision=0, actor="lead", owner="olga")

    assert [row["business id"] for row in taken(auditor, mine="1")] == ["mine"]
    assert [row["business id"] for row in taken(auditor, order="turned")] == ["mine", "other"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_nothing_that_begins_like_a_formula_is_one(auditor: Client, start: str) -> None:
    wins.failed(f"{start}HYPERLINK(1)", last_error=f"{start}1+1")

    [row] = taken(auditor)

    assert row["business id"] == f"'{start}HYPERLINK(1)".replace("\r", "\r")
    assert row["last error"].startswith("'")


def test_what_turns_text_around_is_visible_and_lines_and_quotes_stay_in_their_cell(auditor: Client) -> None:
    wins.failed("7", last_error='a\u202eb "c", d\nsecond line', value=Decimal("12.5"), currency="EUR")

    [row] = taken(auditor)

    assert row["last error"] == 'a⟨U+202E⟩b "c", d\nsecond line'
    assert (row["value"], row["currency"]) == ("12.5", "EUR")


def test_no_payload_is_in_it(auditor: Client) -> None:
    wins.failed("7", payload={"secret": "ada@example.com"})

    assert "ada@example.com" not in str(taken(auditor))


def test_a_workbook_has_the_same_rows_and_no_formula(auditor: Client) -> None:
    wins.failed("=1+1", last_error="=cmd()", value=Decimal("12.5"), currency="EUR")

    answer = auditor.get(EXPORT, {"format": "xlsx"})
    book = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    sheet = book.read("xl/worksheets/sheet1.xml").decode()

    assert answer["Content-Disposition"].endswith('.xlsx"')
    assert "&#39;=1+1" in sheet or "'=1+1" in sheet
    assert "<f>" not in sheet
    assert "12.5" in sheet


def test_without_the_package_there_is_no_workbook(auditor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    wins.failed("7")
    monkeypatch.setattr(sheets, "find_spec", lambda name: None)

    assert auditor.get(EXPORT, {"format": "xlsx"}).status_code == 404
    page = auditor.get(reverse("admin:outbox_message_changelist")).content.decode()
    assert "format=csv" in page
    assert "format=xlsx" not in page


def test_the_audit_notes_who_took_what(auditor: Client) -> None:
    wins.failed("7")

    taken(auditor, consumer=ISSUE, within="24h")

    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.actor) == ("export", "olga")
    assert entry.after == {"tab": "failed", "consumer": ISSUE, "within": "24h", "format": "csv"}


def test_it_takes_the_permission(client: Client) -> None:
    wins.failed("7")
    client.force_login(user("viewer", "view_message"))

    page = client.get(reverse("admin:outbox_message_changelist")).content.decode()
    answer = client.get(EXPORT, {"format": "csv"}, follow=True)

    assert "format=csv" not in page
    assert "export_message" in answer.content.decode()
    assert not acts_done().exists()


@pytest.mark.parametrize("form", ["", "pdf", "csv\0"])
def test_another_format_is_not_there(auditor: Client, form: str) -> None:
    assert auditor.get(EXPORT, {"format": form}).status_code == 404


def test_a_file_ends_at_its_limit(auditor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "MOST", 3)
    for number in range(5):
        wins.pending(str(number), consumer=ORDER if number % 2 else ISSUE)

    assert len(taken(auditor, tab="pending")) == 3
