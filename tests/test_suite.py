"""What the suite says of its own files: they are there, and what is left out embedded would do the same there."""

import re
from pathlib import Path

import pytest

from tests import left_out, run, scheduling

ASKS_FOR_A_DATABASE = re.compile(r"django_db|transactional_db|live_server|\b(db|client|desk)\b[,)]")


def files_of(path: str) -> list[Path]:
    """Return the files with tests, of a folder or the one that it is, or that a test stands in."""
    whole = run.ROOT / path.partition("::")[0]
    return sorted(whole.rglob("test_*.py")) if whole.is_dir() else [whole]


@pytest.mark.parametrize(
    "paths",
    [run.ON_SECOND_ALIAS, left_out.ALIKE, left_out.PROVEN_ONCE, *scheduling.SHARING.values()],
    ids=["on the second alias", "alike embedded", "proven once", *scheduling.SHARING],
)
def test_every_file_of_a_list_is_there(paths: list[str]):
    assert [path for path in paths if not files_of(path) or not all(file.exists() for file in files_of(path))] == []


@pytest.mark.parametrize("test", [path for path in left_out.ALIKE if "::" in path])
def test_every_test_of_a_list_is_there(test: str):
    [file], name = files_of(test), test.partition("::")[2]

    assert f"def {name}(" in file.read_text()


def test_what_is_begun_first_is_a_file_or_shared_by_files():
    assert [one for one in scheduling.LONGEST_FIRST if one not in scheduling.SHARING and not files_of(one)] == []


@pytest.mark.parametrize("path", left_out.ALIKE)
def test_what_is_left_out_embedded_asks_for_no_database_of_the_suite(path: str):
    texts = {file: file.read_text() for file in files_of(path)}

    assert [file for file, text in texts.items() if ASKS_FOR_A_DATABASE.search(text) and "services" not in text] == []


def test_files_that_share_an_installation_run_on_one_worker():
    one, other = scheduling.SHARING["an installation"][:2]

    assert scheduling.unit_of(f"{one}::test_a") == scheduling.unit_of(f"{other}::test_b[1]") == "an installation"
    assert scheduling.unit_of("tests/test_suite.py::test_a") == "tests/test_suite.py"
