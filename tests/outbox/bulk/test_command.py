"""``manage.py outbox_bulk``: every act of the desk from a shell, in words and as JSON."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from outbox import operate
from outbox.bulk import running
from outbox.management.commands import outbox_bulk
from outbox.models import AuditEntry, BulkItem, BulkOperation, Message
from tests.harness.bulk import fail_again, failed_messages, now, started, succeed
from tests.harness.desk import ISSUE, failure_group, wins

pytestmark = pytest.mark.django_db(transaction=True)

WHO = ["--actor", "anna", "--reason", "the vendor is back"]


def bulk(*args: str) -> str:
    out = StringIO()
    call_command("outbox_bulk", *args, stdout=out)
    return out.getvalue()


def test_a_preview_counts_and_does_nothing() -> None:
    failed_messages(3)

    said = bulk("retry", "--all", "--preview", "--actor", "anna")

    assert "preview: retry all failed messages: 0 of 3" in said
    assert f"By consumer: {ISSUE}: 3" in said
    assert Message.objects.exhausted().count() == 3


def test_the_title_of_a_group_is_shown_on_the_terminal_and_not_obeyed() -> None:
    group = failure_group("jam", stuck=1, title="\x1b[31mred")

    said = bulk("retry", "--group", group.pk, "--preview", "--actor", "anna")

    assert "\x1b" not in said
    assert "\\u001b[31mred" in said


def test_a_group_is_retried_with_all_that_the_page_has() -> None:
    group = failure_group("jam", stuck=3)

    answer = bulk(
        "retry",
        "--group",
        group.pk[:6],
        "--canary",
        "1",
        "--stop",
        "10",
        "--rate",
        "200",
        "--since",
        "6h",
        "--json",
        *WHO,
    )

    told = json.loads(answer)
    assert (told["state"], told["canary_size"], told["stop_percent"], told["rate"]) == ("canary", 1, 10, 200)
    assert told["source"]["since_seconds"] == 21600
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.reason, entry.origin[:7]) == ("anna", "the vendor is back", "command")


def test_it_can_be_narrowed_down_to_what_one_person_sees_to_and_to_a_part_of_the_error() -> None:
    group = failure_group()
    hers, _others, _till = (wins.failed(str(n), failure=group.pk) for n in range(3))
    Message.objects.exclude(key="2").update(last_error="Refused: card CLOSED")
    Message.objects.filter(key="2").update(last_error="Refused: the till")
    for key in ("0", "2"):
        operate.set_note(Message.objects.get(key=key).pk, revision=0, actor="lead", owner="lena")
    narrowed = ("--owner", "lena", "--error", "card closed", "--preview", "--actor", "anna")

    said = [bulk("retry", *which, *narrowed) for which in (["--all"], ["--group", group.pk])]

    assert [operation.total for operation in BulkOperation.objects.all()] == [1, 1]
    assert {item.message_id for item in BulkItem.objects.all()} == {hers.pk}
    assert all(", seen to by lena, with “card closed” in the error: 0 of 1" in each for each in said)
    with pytest.raises(CommandError, match="Nothing matches"):
        bulk("retry", "--all", "--error", "a\0", "--actor", "anna")


def test_a_file_of_ids_is_handled_and_undone(tmp_path: Path) -> None:
    rows = failed_messages(3)
    listed = tmp_path / "ids.txt"
    listed.write_text("\n".join(str(row.pk) for row in rows[:2]))

    bulk("handle", "--ids", str(listed), "--outcome", "issued", "--evidence", "file of 3 May", *WHO)
    running.go_on()
    assert Message.objects.filter(resolution="handled").count() == 2
    bulk("undo", "--of", str(BulkOperation.objects.get().pk), *WHO)
    running.go_on()

    assert Message.objects.exhausted().count() == 3


def test_a_discard_by_keys_waits_for_another_s_approval(tmp_path: Path) -> None:
    wins.failed("A-1"), wins.failed("A-2")
    listed = tmp_path / "keys.txt"
    listed.write_text("A-1\n")
    said = bulk("discard", "--keys", str(listed), *WHO)
    id = str(BulkOperation.objects.get().pk)
    assert "It waits for a second person to approve it: anybody but anna" in said

    with pytest.raises(CommandError, match="started it yourself"):
        bulk("approve", id, *WHO)
    bulk("approve", id, "--actor", "ben", "--reason", "looked at it")
    running.go_on()

    assert list(Message.objects.filter(resolution="discarded").values_list("key", flat=True)) == ["A-1"]


@pytest.mark.parametrize(("act", "state"), [("pause", "paused"), ("cancel", "cancelled")])
def test_an_operation_is_held_up(act: str, state: str) -> None:
    failed_messages(3)
    operation = started(rate=1)

    bulk(act, str(operation.pk), *WHO)

    assert now(operation).state == state
    if act == "pause":
        bulk("resume", str(operation.pk), *WHO)
        assert now(operation).state == "running"


def test_the_list_and_one_of_it_are_shown() -> None:
    assert bulk("list") == "There is no bulk operation.\n"
    failed_messages(3)
    operation = started()
    running.go_on()

    assert f"{operation.pk}: running: retry all failed messages: 3 of 3" in bulk("list")
    assert json.loads(bulk("show", str(operation.pk), "--json"))["progress"]["awaited"] == 3
    assert [each["id"] for each in json.loads(bulk("list", "--json"))] == [operation.pk]


def test_watching_ends_with_the_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    failed_messages(3)
    operation = started()

    def work(_seconds: float) -> None:
        running.go_on()
        succeed()

    monkeypatch.setattr(outbox_bulk.time, "sleep", work)

    lines = bulk("watch", str(operation.pk)).splitlines()

    assert lines[-1] == f"{operation.pk}: done: retry all failed messages: 3 of 3, succeeded 3"


def test_watching_one_that_stops_itself_ends_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    failed_messages(9)

    def work(_seconds: float) -> None:
        running.go_on()
        fail_again()

    monkeypatch.setattr(outbox_bulk.time, "sleep", work)

    with pytest.raises(SystemExit) as ended:
        bulk("retry", "--all", "--canary", "2", "--watch", *WHO)

    assert ended.value.code == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["retry", "--all", "--actor", "anna"], "Say why"),
        (["retry", "--group", "nothing", *WHO], "There is no failure group"),
        (["retry", "--all", "--since", "soon", *WHO], "--since soon: a number and a unit"),
        (["retry", "--ids", "/no/such/file", *WHO], "/no/such/file"),
        (["show", "99"], "There is no bulk operation 99"),
        (["retry", "--all", "--rate", "0", *WHO], "A rate is from 1"),
    ],
)
def test_what_is_wrong_is_said(args: list[str], said: str) -> None:
    wins.failed("1")

    with pytest.raises(CommandError, match=said):
        bulk(*args)


def test_a_bar_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    failed_messages(4)
    operation = started()
    running.go_on()
    succeed()
    running.go_on()

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    out: Any = Terminal()
    call_command("outbox_bulk", "watch", str(operation.pk), stdout=out)

    assert f"[{'#' * 30}] 100 %" in out.getvalue()
