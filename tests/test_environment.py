"""Every variable of the environment that is read stands in the manual."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = [path for room in ("config", "awards", "outbox") for path in sorted((ROOT / room).rglob("*.py"))]
SETTLED = {"DJANGO_SETTINGS_MODULE", "HTTP_REFERER", "PATH_INFO", "REQUEST_METHOD", "SCRIPT_NAME"}
"""Set by the project itself, or by the web server for each request."""


def names_in_code(text: str) -> Iterator[str]:
    """Yield what ``env.…(NAME)``, ``os.environ…`` and ``os.getenv(NAME)`` read."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and node.args:
            function, first = ast.unparse(node.func), node.args[0]
            is_read = re.fullmatch(r"env(\.\w+)?|(os\.)?(getenv|environ\.(get|pop|setdefault))", function)
        elif isinstance(node, ast.Subscript):
            first, is_read = node.slice, re.fullmatch(r"(os\.)?environ", ast.unparse(node.value))
        else:
            continue
        if is_read and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def names_in_units(text: str) -> list[str]:
    """Return the variables that are put in: ``${NAME…}``, and none that is escaped by a second dollar."""
    return re.findall(r"(?<!\$)\$\{(\w+)", text)


def all_names() -> set[str]:
    names = {name for path in CODE for name in names_in_code(path.read_text())}
    units = [ROOT / "compose.yaml", *sorted((ROOT / "config" / "systemd").iterdir())]
    return names | {name for path in units for name in names_in_units(path.read_text())}


def test_every_variable_that_is_read_stands_in_the_manual():
    manual = set(re.findall(r"`(\w+)(?:=[^`]*)?`", (ROOT / "docs" / "pages" / "this-project.md").read_text()))

    assert all_names() - manual - SETTLED == set()


@pytest.mark.parametrize(
    "line",
    ["env('A')", "env.str('A', '')", "os.environ['A']", "os.environ.get('A')", "os.getenv('A')", "environ.get('A')"],
)
def test_every_way_to_read_one_is_seen(line: str):
    assert list(names_in_code(line)) == ["A"]


def test_those_that_must_be_there_are_found():
    assert {"SECRET_KEY", "DATABASE_URL", "LOG_LEVEL", "RABBITMQ_PASSWORD", "BEHIND_TLS_PROXY"} <= all_names()
