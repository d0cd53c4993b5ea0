"""A migration that was released is never changed again: some database has run it as it was."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.program import ROOT

RELEASE = re.compile(r"v?\d+\.\d+\.\d+")
MIGRATION = re.compile(r"(?:outbox|awards)/migrations/0\w+\.py")


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def releases(root: Path) -> list[str]:
    """Return the tags that are releases."""
    return [tag for tag in git(root, "tag", "--list").split() if RELEASE.fullmatch(tag)]


def changed_migrations(root: Path) -> list[str]:
    """Return the migrations of every release, as ``tag:path``, that are gone or have another text now."""
    return [
        f"{tag}:{path}"
        for tag in releases(root)
        for path in git(root, "ls-tree", "-r", "--name-only", tag).splitlines()
        if MIGRATION.fullmatch(path)
        and (not (root / path).is_file() or (root / path).read_text() != git(root, "show", f"{tag}:{path}"))
    ]


@pytest.fixture
def released(tmp_path):
    """A repository whose release 0.1.0 has one migration."""
    first = tmp_path / "outbox" / "migrations" / "0001_initial.py"
    first.parent.mkdir(parents=True)
    first.write_text("operations = []\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    author = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    git(tmp_path, *author, "commit", "--quiet", "--message", "release")
    git(tmp_path, *author, "tag", "--no-sign", "0.1.0")
    git(tmp_path, *author, "tag", "--no-sign", "before-the-talk")
    return first


def test_a_migration_may_be_added_after_a_release(released):
    (released.parent / "0002_more.py").write_text("operations = []\n")

    assert releases(released.parents[2]) == ["0.1.0"]
    assert changed_migrations(released.parents[2]) == []


@pytest.mark.parametrize(
    "change", [lambda file: file.write_text("operations = [1]\n"), Path.unlink], ids=["edit", "rm"]
)
def test_a_released_migration_that_was_edited_or_removed_is_found(released, change):
    change(released)

    assert changed_migrations(released.parents[2]) == ["0.1.0:outbox/migrations/0001_initial.py"]


def test_no_released_migration_has_changed_since():
    # Before the first release, and in a copy without its tags, there is none.
    assert not (ROOT / ".git").exists() or changed_migrations(ROOT) == []
