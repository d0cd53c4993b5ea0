"""What is published: the engine, all of it, and nothing else."""

import ast
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message as Headers
from email.parser import HeaderParser
from pathlib import Path

import pytest

import outbox
from tests.harness.archives import build_archives
from tests.harness.program import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BESIDE = {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "SECURITY.md", "pyproject.toml"}
OF_EXTRAS = {
    "cloudevents": "cloudevents",
    "ninja": "django-ninja",
    "pydantic": "django-ninja",
    "redis": "redis",
    "xlsxwriter": "xlsxwriter",
}
"""What an extra brings, and the engine does without, and the package that it asks for."""
OF_DJANGO = {"asgiref"}
"""What Django itself cannot be without."""


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build_archives(tmp_path_factory.mktemp("archives"))


@pytest.fixture(scope="module")
def sources() -> set[str]:
    """The files of the engine that belong to the repository."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "outbox"]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("this is no clone of git")
    return {path for path in found.stdout.splitlines() if (ROOT / path).exists()}


def headers_of(wheel: Path) -> Headers:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return HeaderParser().parsestr(archive.read(metadata).decode())


def test_the_wheel_holds_every_file_of_the_engine_and_nothing_else(archives, sources):
    with zipfile.ZipFile(archives[0]) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert files == sources


def test_the_sdist_holds_the_same_and_what_makes_a_wheel_of_it(archives, sources):
    with tarfile.open(archives[1]) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}

    assert files == sources | BESIDE


@pytest.mark.parametrize(
    "path",
    [
        "outbox/locale/zh_Hans/LC_MESSAGES/django.mo",
        "outbox/migrations/0001_initial.py",
        "outbox/monitoring/alerts.yml",
        "outbox/monitoring/grafana.json",
        "outbox/py.typed",
        "outbox/static/outbox/desk.css",
        "outbox/templates/outbox/desk/base.html",
    ],
)
def test_what_is_no_code_is_in_the_wheel(archives, path):
    with zipfile.ZipFile(archives[0]) as archive:
        assert archive.NameToInfo.keys() >= {path}


def test_the_version_of_the_wheel_is_that_of_the_code(archives):
    headers = headers_of(archives[0])

    assert (headers["Name"], headers["Version"]) == ("django-makegood", outbox.__version__)


def test_the_newest_change_is_of_this_version():
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]

    assert headings[1] == f"## {outbox.__version__}"


def test_everything_that_the_engine_imports_is_asked_for_by_the_wheel():
    asked = {requirement.partition(">=")[0].replace("-", "_") for requirement in PROJECT["dependencies"]}

    imported = {name for path in (ROOT / "outbox").rglob("*.py") for name in imports_of(path)}

    assert imported - {"outbox", *sys.stdlib_module_names, *OF_DJANGO, *OF_EXTRAS} == asked
    extras = {each for asked_by in PROJECT["optional-dependencies"].values() for each in asked_by}
    assert {each.partition(">=")[0].lower() for each in extras} >= set(OF_EXTRAS.values())


def imports_of(path: Path) -> set[str]:
    """Return the packages that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found
