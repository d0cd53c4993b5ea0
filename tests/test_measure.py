"""What `make measure` counts, on a checkout small enough to count by hand."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = """
[[tool.importlinter.contracts]]
type = "layers"
containers = ["outbox"]
layers = ["top | other", "middle", "bottom"]
"""
FILES = {
    "pyproject.toml": PYPROJECT,
    "README.md": "One\ntwo\n",
    "templates/page.html": f"<p>\n<p>{'x' * 200}\n",
    "outbox/__init__.py": "from outbox.top import LIMIT\n",
    "outbox/top.py": "from outbox import middle, other\nLIMIT = 1\ndef read():\n    return middle\n",
    "outbox/other.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from outbox import top\nLIMIT = 2\n",
    "outbox/middle/__init__.py": "from outbox.middle.inner import read\n",
    "outbox/middle/inner.py": "import outbox.bottom\ndef read():\n    '''Say.'''\n    for n in []:\n        print(n)\n",
    "outbox/bottom.py": "def later():\n    from outbox import top\n    return top\n",
    "outbox/migrations/0001_initial.py": "LIMIT = 3\n",
    "tests/test_top.py": "def read(): ...\n",
}


@pytest.fixture(scope="module")
def measuring() -> ModuleType:
    spec = spec_from_file_location("measuring", ROOT / ".ci" / "measure.py")
    module = module_from_spec(spec)
    sys.modules["measuring"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "-C", tmp_path, "init", "-q"], check=True)
    subprocess.run(["git", "-C", tmp_path, "add", "."], check=True)
    (tmp_path / "outbox" / "untracked.py").write_text("LIMIT = 4\n")
    return tmp_path


def test_files_and_functions_are_counted_with_their_sizes(measuring, checkout):
    found = measuring.measure(checkout)

    assert (found.python_files, found.python_files_with_migrations) == (7, 8)
    assert (found.longest_file, found.longest_file_lines) == ("outbox/middle/inner.py", 5)
    assert (found.functions, found.statements_median, found.statements_most) == (3, 2, 2)
    assert (found.long_template_lines, found.readme_lines) == (1, 2)


def test_a_name_is_ambiguous_where_two_modules_define_it_and_not_where_one_passes_it_on(measuring, checkout):
    found = measuring.measure(checkout)

    assert [(one.name, one.modules) for one in found.worst_names] == [
        ("LIMIT", ["outbox/other.py", "outbox/top.py"]),
        ("read", ["outbox/middle/inner.py", "outbox/top.py"]),
    ]
    assert (found.ambiguous_names, found.names) == (2, 3)


def test_rooms_stand_on_each_other_by_what_is_imported_at_once(measuring, checkout):
    found = measuring.measure(checkout)

    assert (found.top_modules, found.rooms, found.floors, found.arrows) == (3, 4, 3, 3)
    assert found.arrows_against_the_floors == ["top → other"]
    assert found.cycles == []


def test_a_circle_is_found_and_counts_as_one_floor(measuring):
    arrows = {("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")}

    assert measuring.cycles_of(arrows) == [["b", "c"]]
    assert measuring.count_floors(arrows) == 3


def test_an_arrow_that_goes_up_is_against_the_floors(measuring):
    assert measuring.against(["a", "b | c", "d : e"], {("b", "a"), ("b", "c"), ("d", "e"), ("a", "e")}) == [
        "b → a",
        "b → c",
    ]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="measures what git tracks")
def test_this_checkout_can_be_measured_and_read(measuring):
    table = measuring.as_table(measuring.measure(ROOT))

    assert "rooms of outbox/" in table
