"""``make lane``: run the engine's suite on another Python, driver, Django or Celery, in a virtualenv of its own.

``LANE="--python 3.13 --driver psycopg3 --django 5.2.19 --celery 5.7.0"``; what is not given is as in requirements.txt.
It needs PostgreSQL and RabbitMQ. What it installs stays in .makegood/lanes, so that the second time is quick.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import run  # noqa: E402  # the path must be set first

LANES = ROOT / ".makegood" / "lanes"
PYTHONS = ["3.13", "3.12", "3.14"]
DRIVERS = {"psycopg2": [], "psycopg3": ["psycopg[binary,pool]==3.3.9"]}
"""What is installed for a driver beside psycopg2, which the tests themselves use; Django prefers psycopg 3."""
TOOLS = re.compile(
    r"(pytest|hypothesis|pika|psutil|eventlet|gevent|playwright|axe-playwright|schemathesis|tinycss2|check-jsonschema|hatchling)[\w-]*=="
)
"""What the suite imports of tests/requirements.txt; the rest are linters."""
WORKS = "import ensurepip, sqlite3, sys; print('%d.%d' % sys.version_info[:2])"


def main(arguments: list[str]) -> int:
    """Make the virtualenv and run the suite in it; return pytest's exit status."""
    parser = argparse.ArgumentParser(prog="make lane", description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", help="a version, or several to choose from; default: 3.13 and up")
    parser.add_argument("--driver", choices=DRIVERS, default="psycopg3")
    parser.add_argument("--django", help="its version")
    parser.add_argument("--celery", help="its version; kombu and amqp are then what it asks for")
    parser.add_argument("--prepare", action="store_true", help="make the virtualenv and run nothing")
    parser.add_argument("--if-found", action="store_true", help="where there is no such Python, say so and be content")
    options, pytest_args = parser.parse_known_args(arguments)
    versions = options.python or PYTHONS
    python = find_python(versions)
    title = f"engine on Python {' or '.join(versions)} and {options.driver}"
    if python is None:
        sys.stdout.write(f"Not run: {title}: no such Python with ensurepip and sqlite3 was found.\n")
        return 0 if options.if_found else 1
    wanted = requirements(options.driver, options.django, options.celery)
    name = "-".join(filter(None, [version_of(python), options.driver, options.django, options.celery]))
    inside = make_virtualenv(LANES / name, python, wanted)
    return 0 if options.prepare else run_suite(inside, pytest_args)


def find_python(versions: list[str]) -> str | None:
    """Return the first Python of these versions that works: a name on the path may be a shim that leads nowhere."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in versions:
        installed = [str(folder / "bin" / "python") for folder in sorted(pyenv.glob(f"{version}*"))]
        for candidate in [f"python{version}", *installed]:
            if version_of(candidate) == version:
                return candidate
    return None


def version_of(python: str) -> str:
    """Return the version of an interpreter that can make virtualenvs; nothing if it cannot."""
    if shutil.which(python) is None:
        return ""
    return subprocess.run([python, "-c", WORKS], capture_output=True, text=True, check=False).stdout.strip()


def requirements(driver: str, django: str | None, celery: str | None) -> list[str]:
    """Return what is installed: the pinned versions, with those that were asked for in their place."""
    pinned = (ROOT / "requirements.txt").read_text().splitlines()
    if django:
        pinned = [f"Django=={django}" if line.startswith("Django==") else line for line in pinned]
    if celery:
        others = [line for line in pinned if not line.startswith(("celery==", "kombu==", "amqp=="))]
        pinned = [*others, f"celery=={celery}"]
    tools = [line for line in (ROOT / "tests" / "requirements.txt").read_text().splitlines() if TOOLS.match(line)]
    return [*pinned, *tools, *DRIVERS[driver]]


def make_virtualenv(folder: Path, python: str, wanted: list[str]) -> str:
    """Return the interpreter of a virtualenv that holds what is wanted; made only if it does not yet."""
    made, inside, text = folder / "requirements.txt", str(folder / "bin" / "python"), "\n".join(wanted) + "\n"
    if not made.exists() or made.read_text() != text:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        asked = folder / "asked.txt"
        asked.write_text(text)
        pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(asked)]
        subprocess.run(pip, check=True)
        asked.rename(made)
    return inside


def run_suite(python: str, pytest_args: list[str]) -> int:
    """Run the engine's tests on the services, with a database and queues of this run's own, and clean them up."""
    database = os.environ.get("TEST_DATABASE_URL") or os.environ.get("DATABASE_URL") or run.DATABASE
    broker = os.environ.get("CELERY_BROKER_URL") or run.BROKER
    name = run.RUN.replace("-", "_")
    run.STATE_DIR.mkdir(parents=True)
    environment = {
        **{key: value for key, value in run.compiling_once().items() if key != "EMBEDDED"},
        "DATABASE_URL": run.with_name(database, name),
        "CELERY_BROKER_URL": broker,
        "OUTBOX_PREFIX": run.RUN,
        "STATE_DIR": str(run.STATE_DIR),
    }
    command = [python, "-m", "pytest", "-q", "-m", "not browser", *run.SIDE_BY_SIDE, "tests/outbox", *pytest_args]
    try:
        return subprocess.call(command, cwd=ROOT, env=environment)
    finally:
        run.drop_databases(database, f"test_{name}")
        run.delete_queues_and_exchanges(broker, run.RUN)
        shutil.rmtree(run.STATE_DIR, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
