"""What keeps a command from its work is told in one sentence, with what to do, and nothing is started."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from config.processes.arguments import free_port
from config.processes.service_checks import database_trouble

ROOT = Path(__file__).resolve().parents[3]
OF_THE_RUN = ("DATABASE_URL", "CELERY_BROKER_URL", "EMBEDDED", "OUTBOX_PREFIX", "SECRET_KEY", "VENDOR_URL", "STATE_DIR")
NOBODY = "postgres://nobody@127.0.0.1/nothing"
WARNINGS = re.compile(r"\ASystem check identified some issues:.*\n\tHINT: [^\n]*\n", re.DOTALL)
"""What check says of an older Celery before a command begins."""
POSTGRES = {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "USER": "anna", "HOST": "db", "PORT": 5433}


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def run(state, *arguments, **environment):
    """Run a command in a clone's environment; return its status, and what it said on standard error."""
    own = {key: value for key, value in os.environ.items() if key not in OF_THE_RUN}
    own |= {"STATE_DIR": str(state), "DJANGO_SETTINGS_MODULE": "config.settings", **environment}
    command = [sys.executable, "-m", "config.demo.clone", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, WARNINGS.sub("", done.stderr).strip()


def broker(**changes: str) -> str:
    """Return the address of the run's broker with parts of it changed."""
    there = urlsplit(os.environ["CELERY_BROKER_URL"])
    password = changes.get("password", there.password)
    return f"amqp://{there.username}:{password}@{there.hostname}:{there.port or 5672}/{changes.get('vhost', '')}"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("name", "address", "problem"),
    [
        ("DATABASE_URL", "postgres://", "it names no database. It looks like postgres://user:password@host:5432/name"),
        ("DATABASE_URL", "redis://:secret@host/0", "it begins with redis:// instead of postgres://."),
        ("CELERY_BROKER_URL", "redis://:secret@host/0", "it begins with redis:// instead of amqp://."),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_with_an_example_and_without_its_password(
    state, name, address, problem
):
    status, said = run(state, "demo", "--exit", **{"DATABASE_URL": NOBODY, name: address})

    assert (status, said.startswith(f"{name} cannot be used: {problem}")) == (1, True), said
    assert "secret" not in said


def refusing(port: int) -> str:
    return f"PostgreSQL at 127.0.0.1:{port} does not answer: Connection refused. Start it, or correct DATABASE_URL."


@pytest.mark.processes
@pytest.mark.parametrize("command", ["seed_awards", "migrate"])
def test_a_database_that_does_not_answer_is_named(state, command):
    port = free_port()

    done = run(state, command, DATABASE_URL=f"postgres://anna:secret@127.0.0.1:{port}/shop")

    assert done == (1, refusing(port))


@pytest.mark.services
@pytest.mark.processes
def test_the_demo_needs_its_database(state):
    port, url = free_port(), os.environ.get("DATABASE_URL", "").partition("?")[0].rpartition("/")[0]

    away = run(state, "demo", "--exit", DATABASE_URL=f"postgres://127.0.0.1:{port}/shop", CELERY_BROKER_URL=broker())
    missing = run(state, "demo", "--exit", DATABASE_URL=f"{url}/nosuch", CELERY_BROKER_URL=broker())

    assert away == (1, refusing(port))
    assert missing[0] == 1
    assert missing[1].endswith('has no database "nosuch". Make it (createdb), or name another in DATABASE_URL.')


@pytest.mark.services
@pytest.mark.processes
def test_the_demo_needs_its_broker(state):
    port = free_port()
    addresses = [f"amqp://127.0.0.1:{port}//", broker(password="wrong"), broker(vhost="nosuch")]

    said = [run(state, "demo", "--exit", DATABASE_URL=NOBODY, CELERY_BROKER_URL=address) for address in addresses]

    assert [status for status, _said in said] == [1, 1, 1]
    assert f"RabbitMQ at 127.0.0.1:{port} does not answer: [Errno 111] Connection refused." in said[0][1]
    assert said[1][1].endswith('does not let "guest" in. Correct user and password in CELERY_BROKER_URL.')
    assert 'has no vhost "nosuch", or "guest" may not enter it. Make it' in said[2][1]


@pytest.mark.processes
def test_tables_that_are_missing_are_to_be_made_first(state):
    status, said = run(state, "seed_awards")

    assert (status, said) == (1, "Tables are missing in the database. Make them first: manage.py migrate")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["demo", "--draws", "-5"], "--draws: must be from 0 to 1000000, not -5"),
        (["demo", "--kill-worker", "-3"], "--kill-worker: must be from 0 to 1000, not -3"),
        (["demo", "--port", "99999"], "--port: must be from 0 to 65535, not 99999"),
        (["seed_awards", "--stock", "many"], "--stock: must be a whole number from 0 to 2147483647, not 'many'"),
        (["seed_awards", "--slug", "a/b"], "--slug: Enter a valid “slug”"),
        (["fake_vendor", "--port", "-1"], "--port: must be from 0 to 65535, not -1"),
    ],
)
def test_a_number_out_of_range_is_refused_with_the_range_and_nothing_is_started(state, arguments, problem):
    status, said = run(state, *arguments)

    assert status == 2
    assert f"error: argument {problem}" in said
    assert not (state / "logs").exists()


@pytest.mark.processes
def test_a_port_that_is_taken_is_refused_if_it_was_asked_for(state):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = run(state, "demo", "--port", str(port))

    assert status == 2
    assert f"error: argument --port: {port} is taken, or not for us to use" in said


@pytest.mark.processes
def test_a_state_or_a_book_that_cannot_be_kept_is_told(tmp_path):
    file = tmp_path / "file"
    file.write_text("")

    state = run(file / "state", "demo", "--exit")
    book = run(tmp_path / "state", "fake_vendor", "--book", str(file / "book"), "--port", "0")

    assert (state[0], "The demo cannot keep its state: " in state[1]) == (1, True)
    assert (book[0], "cannot keep a book in" in book[1]) == (1, True)


AT = 'connection to server at "db" (10.0.0.7), port 5433 failed: '
ELSEWHERE = 'connection to server at "db" (::1), port 5433 failed: Connection refused\n\tIs the server running there?\n'
UNKNOWN = 'could not translate host name "db" to address: Name or service not known'
CORRECT = "Correct user and password in DATABASE_URL."


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            f'{AT}FATAL:  password authentication failed for user "anna"\n',
            f'does not let "anna" in: password authentication failed for user "anna". {CORRECT}',
        ),
        (
            f"{AT}fe_sendauth: no password supplied\n",
            f'does not let "anna" in: fe_sendauth: no password supplied. {CORRECT}',
        ),
        (
            f'{ELSEWHERE}{AT}FATAL:  database "shop" does not exist\n',
            'has no database "shop". Make it (createdb), or name another in DATABASE_URL.',
        ),
        (f"connection failed: {ELSEWHERE}", "does not answer: Connection refused. Start it, or correct DATABASE_URL."),
        (
            f"Multiple connection attempts failed. All failures were:\n- host: 'db': connection failed: {ELSEWHERE}",
            "does not answer: Connection refused. Start it, or correct DATABASE_URL.",
        ),
        (f"{UNKNOWN}\n", f"does not answer: {UNKNOWN}. Start it, or correct DATABASE_URL."),
    ],
)
def test_the_driver_s_words_are_told_as_what_to_do(said, told):
    assert database_trouble(said, POSTGRES) == f"PostgreSQL at db:5433 {told}"
