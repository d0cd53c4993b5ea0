"""``manage.py outbox_status``: a table for people, JSON for programs, an exit status for both."""

import json
from io import StringIO
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.db.models.functions import Now

from tests.harness.clock import MINUTE, database_time
from tests.harness.rows import BOOK, TAKE, all_is_well, sales, set_consumer


def run(*args: str) -> tuple[int, str]:
    """Run the command and return its exit status and what it printed."""
    out = StringIO()
    try:
        call_command("outbox_status", *args, stdout=out, no_color=True)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


@pytest.mark.django_db
def test_a_table_of_consumers_and_the_findings_that_need_somebody():
    all_is_well()
    sales.pending(at=database_time() - 6 * MINUTE)
    sales.failed()
    set_consumer(TAKE, paused_at=Now(), paused_by="ada", breaker="open")

    status, printed = run()

    lines = printed.splitlines()
    (book,) = [line.split() for line in lines if line.startswith(BOOK + " ")]
    (take,) = [" ".join(line.split()) for line in lines if line.startswith(TAKE + " ")]
    assert status == 0
    assert lines[0].split() == ["consumer", "pending", "started", "oldest", "failed", "held", "back"]
    assert book == [BOOK, "1", "0", "6", "min", "1", "-"]
    assert take == f"{TAKE} 0 0 - 0 paused, breaker open"
    assert sorted(line[:8].strip() for line in lines if line[:8].strip() in ("ok", "warning", "critical")) == [
        "ok",
        *["warning"] * 4,
    ]


@pytest.mark.django_db
def test_the_exit_status_is_1_when_something_is_critical():
    never, _printed = run()
    all_is_well()
    well, _printed = run()

    assert (never, well) == (1, 0)


@pytest.mark.django_db
def test_with_all_the_findings_in_order_are_shown_as_well():
    all_is_well()

    _status, printed = run("--all")

    assert "ok        The chore “prune” last succeeded 0 s ago" in printed


@pytest.mark.django_db
def test_as_json_with_the_same_exit_status():
    status, printed = run("--json")

    told = json.loads(printed)
    assert (status, told["level"]) == (1, "critical")
    assert {"consumers", "findings", "rescan", "exhausted"} <= set(told)


def test_a_database_that_does_not_answer_is_one_sentence():
    away = mock.patch("outbox.management.commands.outbox_status.health", side_effect=OperationalError("refused"))
    with away, pytest.raises(CommandError, match="the database does not answer: refused"):
        call_command("outbox_status")
