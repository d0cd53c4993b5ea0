"""The manual's table of versions says what `make lanes` has written down."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def lanes(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    import lanes

    yield lanes
    for name in ("lane", "lanes", "debian_tree"):
        sys.modules.pop(name, None)


def outcome(lanes, cell, **found):
    versions = {"Python": "3.11.7", "Django": "5.2", "celery": "5.4.0", "psycopg2-binary": "2.9"}
    versions |= {"PostgreSQL": "15.9", "RabbitMQ": "3.10.8"}
    return vars(lanes.Outcome(cell, "abc", "2026-11-28", **{"versions": versions, "passed": 7, **found}))


def test_the_manual_has_the_table_of_the_record(lanes):
    assert lanes.block(lanes.recorded()) in lanes.PAGE.read_text()


def test_every_cell_of_the_table_is_recorded_with_its_commit_or_with_why_it_was_not_run(lanes):
    recorded = {one["cell"]: one for one in lanes.recorded()}

    assert set(recorded) == {cell.name for cell in lanes.CELLS}
    assert all(one["not_run"] or (one["commit"] and one["passed"] and one["tests"]) for one in recorded.values())


def test_what_a_cell_came_to_takes_the_place_of_what_it_came_to_before(lanes, tmp_path, monkeypatch):
    monkeypatch.setattr(lanes, "RECORD", tmp_path / "docs" / "lanes.json")
    first, second = (cell.name for cell in lanes.CELLS[:2])

    for cell, passed in [(second, 1), (first, 2), (second, 3)]:
        lanes.write_down(lanes.Outcome(cell, "abc", "2026-11-28", passed=passed))

    written = json.loads(lanes.RECORD.read_text())
    assert [(one["cell"], one["passed"]) for one in written] == [(first, 2), (second, 3)]


def test_a_cell_that_this_commit_has_run_is_not_run_again(lanes, tmp_path, monkeypatch):
    cell, ran = lanes.CELLS[0], []
    monkeypatch.setattr(lanes, "RECORD", tmp_path / "lanes.json")
    monkeypatch.setattr(lanes, "revision", lambda: "abc")
    monkeypatch.setattr(lanes, "why_not", lambda *_: "")
    monkeypatch.setattr(lanes, "run_cell", lambda *_: ran.append("ran"))

    for again in (False, False, True):
        lanes.run_unless_recorded(cell, None, again=again)

    assert len(ran) == 2


def test_a_cell_that_cannot_be_run_here_keeps_what_it_came_to_elsewhere(lanes, tmp_path, monkeypatch):
    cell = lanes.CELLS[0]
    monkeypatch.setattr(lanes, "RECORD", tmp_path / "lanes.json")
    monkeypatch.setattr(lanes, "why_not", lambda *_: "there is no such Python")
    lanes.write_down(lanes.Outcome(cell.name, "older", "2026-11-28", passed=5))

    lanes.run_unless_recorded(cell, None, again=False)

    assert [one["passed"] for one in lanes.recorded()] == [5]


def test_what_failed_and_what_there_was_no_time_for_is_run_by_itself_and_written_down_with_both_commits(
    lanes, tmp_path, monkeypatch
):
    cell = lanes.CELLS[0]
    failures = [
        "tests.test_lanes.test_the_manual_has_the_table_of_the_record",
        "tests.test_environment",
        "tests.outbox.maintenance.test_rescan_on_rabbitmq.TestX.test_y[a.b-[1]",
    ]
    monkeypatch.setattr(lanes, "RECORD", tmp_path / "lanes.json")
    monkeypatch.setattr(lanes, "revision", lambda: "later")
    monkeypatch.setattr(lanes, "why_not", lambda *_: "")
    asked = []

    def run_cell(_cell, _tree, part):
        asked.extend(part.tests)
        part.passed, part.failed, part.failures = 2, 1, failures[2:]

    monkeypatch.setattr(lanes, "run_cell", run_cell)
    lanes.write_down(lanes.Outcome(cell.name, "abc", "2026-11-28", passed=7, failed=3, failures=failures))

    lanes.run_part(cell, None, [])
    lanes.run_part(cell, None, ["tests/awards"])

    [whole] = lanes.recorded()
    assert asked == [
        "tests/test_lanes.py::test_the_manual_has_the_table_of_the_record",
        "tests/test_environment.py",
        "tests/outbox/maintenance/test_rescan_on_rabbitmq.py::TestX::test_y[a.b-[1]",
        "tests/awards",
    ]
    assert (whole["passed"], whole["failed"], whole["failures"]) == (11, 2, [failures[2]] * 2)
    assert (whole["commit"], [part["commit"] for part in whole["parts"]]) == ("abc", ["later"] * 2)


def test_the_table_tells_what_was_run_and_what_was_not(lanes):
    parts = [{"commit": "def", "date": "2026-11-29", "passed": 2}]
    outcomes = [outcome(lanes, "one", failed=1, parts=parts), outcome(lanes, "two", not_run="no such server")]

    table = lanes.block(outcomes)

    assert "| 7 passed, 1 failed, 0 skipped | abc, 2026-11-28; 2 of these at def, 2026-11-29 |" in table
    assert "Not run: two: no such server." in table
