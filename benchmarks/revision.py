"""Another commit of this repository, checked out beside today's code for the length of a run."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measurements import print_progress
from tests.harness.program import ROOT


class CommitNotFound(Exception):
    """The name that was given is no commit of this repository; asking again does not help."""


def resolve_commit(name: str) -> str:
    """Return the full hash of the commit that ``name`` (a hash, branch or tag) means; raises ``CommitNotFound``."""
    try:
        found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except FileNotFoundError:
        raise CommitNotFound("--against needs git, which is not installed.") from None
    if found.returncode:
        raise CommitNotFound(f"There is no commit {name!r} in this repository.")
    return found.stdout.strip()


@contextlib.contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Make a temporary worktree of ``commit`` and remove it at the end, also when the run is interrupted.

    Its benchmarks are replaced by today's, so that both engines get the same work and only the engine differs.
    """
    with tempfile.TemporaryDirectory(prefix="makegood-") as parent:
        folder = Path(parent) / commit
        try:
            _git("worktree", "add", "--quiet", "--detach", str(folder), commit).check_returncode()
            _replace_benchmarks(folder)
            _warn_of_other_requirements(folder)
            yield folder
        finally:
            # By force twice: its benchmarks were changed, and an interrupted `add` leaves a lock.
            _git("worktree", "remove", "--force", "--force", str(folder))


def _replace_benchmarks(folder: Path) -> None:
    shutil.rmtree(folder / "benchmarks")
    shutil.copytree(ROOT / "benchmarks", folder / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))


def _warn_of_other_requirements(folder: Path) -> None:
    if (folder / "requirements.txt").read_bytes() != (ROOT / "requirements.txt").read_bytes():
        print_progress("WARNING: that commit requires other packages; it is measured on today's.")


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
