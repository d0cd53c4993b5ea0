"""Copies of the project that may be broken, each with a database and queues of its own, and the tests run in them."""

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.mutants.mutant import Mutant
from tests.run import BROKER, DATABASE, delete_queues_and_exchanges, drop_databases

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".git", ".venv", ".makegood", ".hypothesis", "__pycache__", ".*_cache", "staticfiles", "benchmarks")
TIMEOUT_SECONDS = 600

NO_FAILURES = ("NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError", "SyntaxError", "AttributeError")
"""What a test meets where a mutant is not another rule but no code at all."""


class Copy:
    """One copy of the tree, in which one mutant at a time is made and tested."""

    def __init__(self, folder: Path, number: int) -> None:
        self.tree = folder / f"tree{number}"
        self.name = f"mutants_{os.getpid()}_{number}"
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(*LEFT_OUT))

    def clean_up(self) -> None:
        """Drop its databases and delete its queues."""
        drop_databases(database_url("postgres"), f"test_{self.name}")
        with suppress(OSError):  # without a broker there are no queues
            delete_queues_and_exchanges(os.environ.get("CELERY_BROKER_URL") or BROKER, self.prefix)

    @property
    def prefix(self) -> str:
        """What the names of its queues begin with."""
        return self.name.replace("_", "-")

    def stale(self, mutant: Mutant) -> list[str]:
        """Return why the mutant no longer fits the code: text that is not there once, names that nobody defines."""
        problems = []
        for change in mutant.changes:
            found = (self.tree / change.path).read_text().count(change.old)
            if found != 1:
                problems.append(f"{change.path} has {found} times, not once:\n{change.old}")
        if problems:
            return problems
        with self.broken_by(mutant):
            return self._undefined_names(mutant)

    def _undefined_names(self, mutant: Mutant) -> list[str]:
        files = sorted({change.path for change in mutant.changes})
        linter = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--target-version", "py311"]
        linted = subprocess.run(
            [*linter, "--select", "E9,F821,F822,F823", "--output-format", "concise", "--quiet", *files],
            cwd=self.tree,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
        return [line for line in (linted.stdout + linted.stderr).splitlines() if line] if linted.returncode else []

    @contextmanager
    def broken_by(self, mutant: Mutant) -> Iterator[None]:
        """Make the changes of one mutant, and undo them."""
        sound = {path: path.read_text() for change in mutant.changes for path in [self.tree / change.path]}
        try:
            for change in mutant.changes:
                path = self.tree / change.path
                path.write_text(path.read_text().replace(change.old, change.new))
            yield
        finally:
            for path, text in sound.items():
                path.write_text(text)

    def run(self, tests: Sequence[str]) -> dict[str, str]:
        """Run the tests; return for each "passed", "failed" or what else became of it."""
        report = self.tree / "report.xml"
        nodes = ["tests/{}.py::{}".format(*test.split("::", 1)) for test in tests]
        flags = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", "--reuse-db"]
        done = subprocess.run(
            [sys.executable, "-B", "-m", "pytest", *flags, *nodes],
            cwd=self.tree,
            env={**self._environment(), "PYTHONPATH": str(self.tree)},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
        results = dict.fromkeys(tests, "did not run")
        if not report.exists():
            print(done.stdout, done.stderr, flush=True)
            return results
        for case in ElementTree.parse(report).iter("testcase"):
            for name in (node_of(case), f"{node_of(case)}{parameters_of(case)}"):
                if name in results and results[name] != "failed":
                    results[name] = result_of(case)
        report.unlink()
        return results

    def _environment(self) -> dict[str, str]:
        left_out = ("EMBEDDED", "DATABASE_URL", "STATE_DIR")
        inherited = {key: value for key, value in os.environ.items() if key not in left_out}
        own = {"DATABASE_URL": database_url(self.name), "OUTBOX_PREFIX": self.prefix}
        return {"CELERY_BROKER_URL": BROKER, **inherited, **own}


@contextmanager
def copies(many: int) -> Iterator[list[Copy]]:
    """Copy the project so many times, and clean up afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        made = [Copy(Path(folder), number) for number in range(many)]
        try:
            yield made
        finally:
            for copy in made:
                copy.clean_up()


def node_of(case: ElementTree.Element) -> str:
    """Return the test as a mutant has it, ``outbox/room/test_module::test``, with its class, without parameters."""
    parts = case.get("classname", "").removeprefix("tests.").split(".")
    folders, classes = ([part for part in parts if part[:1].isupper() is of_class] for of_class in (False, True))
    return "::".join(["/".join(folders), *classes, case.get("name", "").partition("[")[0]])


def parameters_of(case: ElementTree.Element) -> str:
    """Return the parameters of a test in their brackets, for a mutant that names one case only."""
    _name, bracket, rest = case.get("name", "").partition("[")
    return bracket + rest


def result_of(case: ElementTree.Element) -> str:
    """Return what became of a test; one that met no code at all has not failed."""
    failure = case.find("failure")
    if failure is not None:
        error = (failure.get("message") or "").partition(":")[0].rpartition(".")[2].strip()
        return f"met {error}" if error in NO_FAILURES else "failed"
    for element, word in (("error", "stumbled"), ("skipped", "was skipped")):
        if case.find(element) is not None:
            return word
    return "passed"


def database_url(name: str) -> str:
    """Return the address of a database on the server for tests."""
    url = os.environ.get("TEST_DATABASE_URL") or os.environ.get("DATABASE_URL") or DATABASE
    return f"{url.rpartition('/')[0]}/{name}"
