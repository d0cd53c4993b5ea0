"""``make bench`` beside another commit: what it is given, and the worktree that it leaves nothing of."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import revision
from benchmarks.__main__ import main, parse_arguments


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit of an older benchmark, and today's benchmark not committed."""
    folder = tmp_path / "clone"
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "requirements.txt").write_text("Django")
    (folder / "benchmarks" / "drain.py").write_text("older")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "commit", "--quiet", "-m", "older")
    (folder / "benchmarks" / "drain.py").write_text("today's")
    monkeypatch.setattr(revision, "ROOT", folder)
    return folder


def git(folder, *arguments):
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout


def worktrees(folder):
    return [Path(line.split()[0]) for line in git(folder, "worktree", "list").splitlines()]


def test_a_commit_is_named_as_git_names_it_and_kept_as_its_hash(repository):
    parts, options = parse_arguments(["drain", "--against", "HEAD", "--quick"])

    assert parts == ["drain"]
    assert options.against == git(repository, "rev-parse", "HEAD").strip()


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("name", ["deadbeef", "no-such-branch", "--help", "HEAD:benchmarks"])
def test_a_commit_that_does_not_exist_is_one_sentence_and_status_2(name, capsys):
    assert main(["drain", f"--against={name}"]) == 2

    assert capsys.readouterr().err == f"There is no commit {name!r} in this repository.\n"


@pytest.mark.usefixtures("repository")
def test_only_drain_is_measured_against_a_commit(capsys):
    with pytest.raises(SystemExit, match="2"):
        parse_arguments(["latency", "--against", "HEAD"])

    assert "--against is an option of the part drain" in capsys.readouterr().err


def test_the_worktree_has_today_s_benchmarks_and_is_gone_after_an_interruption(repository):
    seen = []

    def measure(folder):
        seen.extend([folder, (folder / "benchmarks" / "drain.py").read_text(), worktrees(repository)])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), revision.checked_out("HEAD") as folder:
        measure(folder)

    assert seen == [folder, "today's", [repository, folder]]
    assert not folder.parent.exists()
    assert worktrees(repository) == [repository]
