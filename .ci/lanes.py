"""``make lanes``: run a table of versions, one cell after another, and write down in docs/lanes.json what came out.

A cell that this commit has run already is left out, so a run that was cut off goes on where it was; ``--again`` runs it
anew, ``--failed`` only what failed of it, ``--part PATH`` only that. ``--tree DIR`` names a Debian with newer services
(see debian_tree.py); ``--only 3.12`` takes the cells of whose names that is a part; ``--table`` only writes the
manual's table from the file.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lane  # it sets the path for what comes after it

import debian_tree  # isort: skip

from tests import run

ROOT = lane.ROOT
RECORD = ROOT / "docs" / "lanes.json"
PAGE = ROOT / "docs" / "pages" / "lanes.md"
BEGIN, END = "<!-- lanes: written by make lanes -->\n", "<!-- /lanes -->"
WHOLE = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)

TWO_AT_A_TIME = ["-n", "2"]
"""Slower than three; but what fails then fails of the versions, and seldom of the machine's load."""
STRICT = ["transient_nonexcl_queues", "global_qos"]

VERSIONS = """
import importlib.metadata as metadata, json, sys
names = ["Django", "celery", "kombu", "amqp", "psycopg2-binary", "psycopg", "psycopg-pool", "django-celery-beat"]
found = {one.metadata["Name"].lower(): one.version for one in metadata.distributions()}
versions = {name: found[name.lower()] for name in names if name.lower() in found}
print(json.dumps({"Python": "%d.%d.%d" % sys.version_info[:3], **versions}))
"""
SERVERS = """
import json, os, psycopg2
from kombu import Connection
database = psycopg2.connect(os.environ["DATABASE_URL"].rpartition("/")[0] + "/postgres")
with Connection(os.environ["CELERY_BROKER_URL"]) as broker:
    broker.ensure_connection(max_retries=30, interval_start=1, interval_step=0)
    versions = {"PostgreSQL": database.info.parameter_status("server_version").split()[0]}
    print(json.dumps({**versions, "RabbitMQ": broker.connection.server_properties["version"]}))
"""


@dataclass(frozen=True)
class Cell:
    """Versions that are run together."""

    python: str
    django: str
    celery: str
    driver: str
    beat: bool = True
    postgresql: str = ""
    rabbitmq: str = ""
    denied: Sequence[str] = ()
    pool: bool = False
    why_not: str = ""

    @property
    def name(self) -> str:
        """Return what the cell is called in the record."""
        words = [f"Python {self.python}", f"Django {self.django}", f"Celery {self.celery}", self.driver]
        words += ["without beat's tables"] if not self.beat else []
        words += [f"PostgreSQL {self.postgresql}"] if self.postgresql else []
        words += [f"RabbitMQ {self.rabbitmq}"] if self.rabbitmq else []
        return ", ".join(words)


CELLS = [
    Cell("3.11", "5.2.19", "5.4.0", "psycopg2"),
    Cell("3.12", "6.0.10", "5.6.3", "psycopg3", postgresql="17", rabbitmq="4.0"),
    Cell(
        *("3.13", "6.1.3", "5.7.0", "psycopg3"),
        beat=False,
        postgresql="17",
        rabbitmq="4.0",
        denied=STRICT,
        pool=True,
    ),
    Cell("3.14", "6.1.3", "5.7.0", "psycopg3", beat=False, why_not="no Python 3.14 was at hand"),
    Cell(
        *("3.13", "5.2.19", "5.7.0", "psycopg3"),
        postgresql="18",
        rabbitmq="4.3",
        why_not="Debian 13 has PostgreSQL 17 and RabbitMQ 4.0; newer ones were not looked for elsewhere",
    ),
]


@dataclass
class Outcome:
    """What a cell came to, as it is written down."""

    cell: str
    commit: str
    date: str
    versions: dict[str, str] = field(default_factory=dict)
    tests: Sequence[str] = ("tests",)
    denied: Sequence[str] = ()
    pool: bool = False
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: int = 0
    stopped: bool = False
    failures: list[str] = field(default_factory=list)
    not_run: str = ""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """What was run by itself later, as it had failed or there was no time for it: which tests, at which commits."""


def main(arguments: list[str]) -> int:
    """Run what is to be run; return 1 if a cell failed."""
    parser = argparse.ArgumentParser(prog="make lanes", description=__doc__.splitlines()[0])
    parser.add_argument("--tree", type=Path, help=f"a Debian with newer services: {debian_tree.HOW_TO_MAKE}")
    parser.add_argument("--only", default="", help="a part of the names of the cells")
    parser.add_argument("--again", action="store_true", help="run what this commit has run already, too")
    parser.add_argument("--failed", action="store_true", help="run only what failed, on this commit")
    parser.add_argument("--part", nargs="+", help="run only these paths, on this commit, and add them to the cell")
    parser.add_argument("--table", action="store_true", help="only write the manual's table")
    options = parser.parse_args(arguments)
    for cell in CELLS:
        if options.table or options.only not in cell.name:
            continue
        if options.failed or options.part:
            run_part(cell, options.tree, options.part or [])
        else:
            run_unless_recorded(cell, options.tree, again=options.again)
    PAGE.write_text(WHOLE.sub(lambda _: block(recorded()), PAGE.read_text()))
    return int(any(outcome["failed"] or outcome["stopped"] for outcome in recorded()))


def run_unless_recorded(cell: Cell, tree: Path | None, *, again: bool) -> None:
    """Run the cell and add what it came to to the record, where it is not there for this commit yet."""
    commit = revision()
    old = recorded_of(cell)
    if old and not again and old["commit"] == commit and not old["not_run"]:
        return
    sys.stdout.write(f"\n== {cell.name}\n")
    outcome = Outcome(cell.name, commit, today(), denied=cell.denied, pool=cell.pool)
    outcome.not_run = cell.why_not or why_not(cell, tree)
    if not outcome.not_run:
        run_cell(cell, tree, outcome)
    if not (outcome.not_run and old and not old["not_run"]):
        write_down(outcome)


def run_part(cell: Cell, tree: Path | None, paths: Sequence[str]) -> None:
    """Run some tests of a cell on this commit and add them to what it came to; without paths those that failed."""
    old = recorded_of(cell)
    whole = Outcome(cell.name, revision(), today(), tests=[], denied=cell.denied, pool=cell.pool)
    whole = Outcome(**old) if old and not old["not_run"] else whole
    tests = list(paths) or list(dict.fromkeys(node_id(failure) for failure in whole.failures))
    if not tests or cell.why_not or why_not(cell, tree):
        return
    part = Outcome(cell.name, revision(), today(), tests=tests)
    run_cell(cell, tree, part)
    whole.versions, whole.tests = part.versions, [*whole.tests, *paths]
    whole.passed, whole.skipped = whole.passed + part.passed, whole.skipped + part.skipped
    whole.failures = [*(whole.failures if paths else []), *part.failures]
    whole.failed, whole.stopped = len(whole.failures), whole.stopped or part.stopped
    whole.seconds += part.seconds
    whole.parts = [*whole.parts, {"tests": tests, "commit": part.commit, "date": part.date, "passed": part.passed}]
    write_down(whole)


def node_id(failure: str) -> str:
    """Return what pytest calls the test that its report names with dots."""
    dotted, bracket, parameters = failure.partition("[")
    words = dotted.split(".")
    files = ["/".join(words[:end]) + ".py" for end in range(1, len(words) + 1)]
    end, path = next((end, path) for end, path in enumerate(files, 1) if (ROOT / path).is_file())
    return "::".join([path, *words[end:]]) + bracket + parameters


def write_down(outcome: Outcome) -> None:
    """Put what a cell came to into the record, in place of what it came to before."""
    known = {one["cell"]: one for one in recorded()} | {outcome.cell: vars(outcome)}
    in_order = [known[cell.name] for cell in CELLS if cell.name in known]
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(in_order, indent=2) + "\n")


def recorded() -> list[dict[str, Any]]:
    """Return what is written down, one entry a cell."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else []


def recorded_of(cell: Cell) -> dict[str, Any] | None:
    """Return what is written down of the cell."""
    return {outcome["cell"]: outcome for outcome in recorded()}.get(cell.name)


def today() -> str:
    """Return the date as it is written down."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def revision() -> str:
    """Return the commit, with a plus sign if what git tracks of the code differs from it."""
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.check_output([*git, "rev-parse", "--short=9", "HEAD"], text=True).strip()
    changed = subprocess.call([*git, "diff", "--quiet", "HEAD", "--", ".", ":!docs", ":!README.md"])
    return commit + ("+" if changed else "")


def why_not(cell: Cell, tree: Path | None) -> str:
    """Return why the cell cannot be run here, or nothing."""
    if lane.find_python([cell.python]) is None:
        return f"no Python {cell.python} that works was found"
    if (cell.postgresql or cell.rabbitmq) and (tree is None or os.geteuid() != 0):
        return f"its services need --tree, and root: {debian_tree.HOW_TO_MAKE}"
    held = {"PostgreSQL": debian_tree.postgresql_in(tree), "RabbitMQ": debian_tree.rabbitmq_in(tree)} if tree else {}
    wanted = {"PostgreSQL": cell.postgresql, "RabbitMQ": cell.rabbitmq}
    other = [f"{name} {held[name]}" for name, version in wanted.items() if held and not held[name].startswith(version)]
    return f"the tree holds {' and '.join(other)}" if other else ""


def run_cell(cell: Cell, tree: Path | None, outcome: Outcome) -> None:
    """Make the virtualenv, start the services and run the tests; fill in the outcome."""
    wanted = lane.requirements(cell.driver, cell.django, cell.celery)
    wanted = [line for line in wanted if cell.beat or not line.startswith("django-celery-beat==")]
    folder = lane.LANES / "-".join([cell.python, cell.driver, cell.django, cell.celery])
    python = lane.make_virtualenv(folder, str(lane.find_python([cell.python])), wanted)
    run.STATE_DIR.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key not in ("EMBEDDED", "CI")}
    with ExitStack() as services:
        database = os.environ.get("TEST_DATABASE_URL") or run.DATABASE
        broker = os.environ.get("CELERY_BROKER_URL") or run.BROKER
        if tree and cell.postgresql:
            database = services.enter_context(debian_tree.postgresql(tree))
        if tree and cell.rabbitmq:
            broker, control = services.enter_context(debian_tree.rabbitmq(tree, denied=cell.denied))
            environment["RABBITMQCTL"] = shlex.join(control)
        name = run.RUN.replace("-", "_")
        environment |= {"DATABASE_URL": run.with_name(database, name) + ("?pool=true" if cell.pool else "")}
        environment |= {"CELERY_BROKER_URL": broker, "OUTBOX_PREFIX": run.RUN, "STATE_DIR": str(run.STATE_DIR)}
        for question in (VERSIONS, SERVERS):
            answer = subprocess.check_output([python, "-c", question], env=environment, text=True)
            outcome.versions |= json.loads(answer)
        try:
            run_tests(python, environment, outcome)
        finally:
            run.drop_databases(run.with_name(database, "postgres"), f"test_{name}")
            if not cell.rabbitmq:
                run.delete_queues_and_exchanges(broker, run.RUN)
            shutil.rmtree(run.STATE_DIR, ignore_errors=True)


def run_tests(python: str, environment: dict[str, str], outcome: Outcome) -> None:
    """Run pytest and count its report into the outcome."""
    report, began = run.STATE_DIR / "lane.xml", time.monotonic()
    chosen = ["-m", "not browser", *run.SIDE_BY_SIDE, *TWO_AT_A_TIME, *outcome.tests]
    pytest = [python, "-m", "pytest", f"--junitxml={report}", "-q", "-p", "no:warnings", "--tb=short"]
    status = subprocess.call([*pytest, *chosen], cwd=ROOT, env=environment)
    outcome.seconds = round(time.monotonic() - began)
    result = run.Result(outcome.cell, status)
    for case in _cases(report):
        failed, name = result.failed, f"{case.get('classname')}.{case.get('name')}"
        run.count(case, result)
        outcome.failures += [name.lstrip(".")] if result.failed > failed else []
    outcome.stopped = status > 1
    outcome.passed, outcome.failed, outcome.skipped = result.passed, result.failed, result.skipped.total()


def _cases(report: Path) -> Iterator[ElementTree.Element]:
    if report.exists():
        yield from ElementTree.parse(report).iter("testcase")  # noqa: S314  # pytest has just written it


def block(outcomes: Sequence[dict[str, Any]]) -> str:
    """Return the manual's table, between its marks."""
    head = "| Python | Django | Celery | driver | PostgreSQL | RabbitMQ | tests | at |\n" + "|---" * 8 + "|\n"
    rows = [row(outcome) for outcome in outcomes if not outcome["not_run"]]
    missing = [f"{one['cell']}: {one['not_run']}." for one in outcomes if one["not_run"]]
    rest = "".join(f"\nNot run: {line}\n" for line in missing)
    return f"{BEGIN}{head}{''.join(rows)}{rest}{END}"


def row(outcome: dict[str, Any]) -> str:
    """Return one line of the table."""
    versions = outcome["versions"]
    psycopg = versions.get("psycopg")
    driver = f"psycopg {psycopg}" if psycopg else f"psycopg2 {versions['psycopg2-binary']}"
    beat = "" if "django-celery-beat" in versions else ", no beat tables"
    counts = f"{outcome['passed']} passed, {outcome['failed']} failed, {outcome['skipped']} skipped"
    counts += ", stopped before the end" if outcome["stopped"] else ""
    cells = [
        versions["Python"],
        versions["Django"] + beat,
        versions["celery"],
        driver + (" with pool" if outcome["pool"] else ""),
        versions["PostgreSQL"],
        versions["RabbitMQ"] + "".join(f", no `{feature}`" for feature in outcome["denied"]),
        counts,
        "; ".join([f"{outcome['commit']}, {outcome['date']}", *(again(part) for part in outcome["parts"])]),
    ]
    return f"| {' | '.join(cells)} |\n"


def again(part: dict[str, Any]) -> str:
    """Return how many of the tests were run by themselves, and where."""
    return f"{part['passed']} of these at {part['commit']}, {part['date']}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
