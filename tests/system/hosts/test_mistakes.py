"""What newcomers do wrong, and the sentence that says what to do: the table of the manual, run."""

import re

import pytest

from tests.harness.program import ROOT
from tests.system.hosts import files
from tests.system.hosts.host import Host

PAGE = ROOT / "docs" / "pages" / "mistakes.md"
ROW = re.compile(r"^\| (?P<done>[^|]+?) +\| “(?P<said>[^|]+)” +\|", re.MULTILINE)

SETTINGS = """
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{folder}/db.sqlite3",
    "OPTIONS": {{"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"}}}}}}
CELERY_BROKER_URL = "amqp://nobody:nothing@127.0.0.1:1//"
OUTBOX = {{"PREFIX": "mistaken"}}
"""
NO_CONFIGURE = """
from celery import Celery
app = Celery("myproject")
app.config_from_object("django.conf:settings", namespace="CELERY")
"""
PUBLISH = """
with transaction.atomic():
    {}
"""
TELL = """
import asyncio, datetime, decimal, traceback
from django.db import transaction
from outbox import Backoff, Snooze, consumer, publish
from orders.models import Entry
said = {{}}
for name, code in {snippets!r}.items():
    try:
        exec(code, dict(globals()))
    except BaseException as error:
        said[name] = "".join(traceback.format_exception_only(error))
answer(said)
"""

IN_CODE = {
    "publish outside a transaction": 'publish("order.paid", key=1, payload={})',
    "publish in `async def`": """
async def pay():
    publish("order.paid", key=1, payload={})
asyncio.run(pay())
""",
    "mistype a topic": PUBLISH.format('publish("points.aded", key=1, payload={})'),
    "put a model into the payload": PUBLISH.format(
        'publish("order.paid", key=1, payload={"entry": Entry(what="x", pid=1, queue="")})'
    ),
    "put a time into the payload": PUBLISH.format(
        'publish("order.paid", key=1, payload={"at": datetime.datetime(2026, 1, 1)})'
    ),
    "put a `Decimal` into the payload": PUBLISH.format(
        'publish("order.paid", key=1, payload={"sum": decimal.Decimal("1.5")})'
    ),
    "give a model as the key": PUBLISH.format(
        'publish("order.paid", key=Entry(what="x", pid=1, queue=""), payload={})'
    ),
    "give `None` as the key, before the row is saved": PUBLISH.format('publish("order.paid", key=None, payload={})'),
    "publish a second event under the same key": PUBLISH.format(
        'publish("order.paid", key=7, payload={"paid": 1}); publish("order.paid", key=7, payload={"paid": 2})'
    ),
    "give a delay in seconds": PUBLISH.format('publish("order.paid", key=1, payload={}, delay=5)'),
    "write `@consumer` without a topic": "consumer(lambda message: None)",
    "write a consumer without an argument": "@consumer('a.b', name='wrong.one')\ndef receive(): pass",
    "write a consumer as a method": (
        "class Till:\n    @consumer('a.b', name='wrong.two')\n    def receive(self, message): pass"
    ),
    "write two consumers of one name": (
        "@consumer('a.b', name='wrong.three')\ndef one(message): pass\n"
        "@consumer('a.c', name='wrong.three')\ndef two(message): pass"
    ),
    "write an async consumer inside a transaction": "@consumer('a.b', name='wrong.four')\nasync def receive(m): pass",
    "give a timeout in seconds": "consumer('a.b', name='wrong.five', timeout=30)(print)",
    "give `retry=` a number": "consumer('a.b', name='wrong.six', retry=3)(print)",
    "give `concurrency` inside a transaction": "consumer('a.b', name='wrong.seven', concurrency=5)(print)",
    "write a generator": "@consumer('a.b', name='wrong.eight')\ndef receive(message):\n    yield",
    "give `Backoff` seconds": "Backoff(first=10)",
    "give `Snooze` seconds": "raise Snooze(60)",
}


def mistaken(folder, *, more="", without="", replace=None):
    """Return a stranger's project with something in its settings, or without it."""
    host = Host(folder, settings=SETTINGS.format(folder=folder) + more, replace=replace)
    written = folder / "myproject/settings.py"
    assert without in written.read_text()
    written.write_text(written.read_text().replace(without, ""))
    return host


def forget_to_install(folder):
    return mistaken(folder, without='INSTALLED_APPS += ["outbox"]').manage("check", fails=True)


def forget_to_configure(folder):
    return mistaken(folder, replace={"myproject/celery.py": NO_CONFIGURE}).manage("check", fails=True)


def forget_to_import_celery(folder):
    return mistaken(folder, replace={"myproject/__init__.py": ""}).manage("check", fails=True)


def forget_to_migrate(folder):
    code = "from django.db import transaction\nfrom outbox import publish" + PUBLISH.format(
        'publish("order.paid", key=1, payload={})'
    )
    host = mistaken(folder)
    said = host.python(code, fails=True)
    assert "run manage.py migrate outbox" in host.manage("outbox_status", fails=True)
    for call in ("run_rescan()", "run_deliver('orders.add_points', [1])"):
        assert "run manage.py migrate outbox" in host.python(f"from outbox import tasks\ntasks.{call}", fails=True)
    return said


def write_consumers_elsewhere(folder):
    elsewhere = {
        "orders/consumers.py": "",
        "orders/handlers.py": files.PROJECT["orders/consumers.py"],
        "shipping/consumers.py": "",
    }
    return mistaken(folder, replace=elsewhere).manage("check", "--fail-level", "WARNING", fails=True)


def set_what_is_no_setting(folder):
    return mistaken(folder, more='\nOUTBOX["PREFX"] = "shop"\n').manage("check", fails=True)


def set_seconds(folder):
    return mistaken(folder, more='\nOUTBOX["LEASE"] = 30\n').manage("check", fails=True)


def take_redis(folder):
    return mistaken(folder, more='\nCELERY_BROKER_URL = "redis://127.0.0.1:1/0"\n').manage("check", fails=True)


def start_no_worker(folder):
    host = mistaken(folder)
    host.manage("migrate", "--verbosity", "0")
    return host.manage("outbox_status", fails=True)


IN_PROJECT = {
    "forget `outbox` in `INSTALLED_APPS`": forget_to_install,
    "forget `outbox.configure(app)`": forget_to_configure,
    "forget to import the Celery app in `__init__.py`": forget_to_import_celery,
    "forget `migrate`": forget_to_migrate,
    "write consumers in another file than `consumers.py`": write_consumers_elsewhere,
    "mistype a setting": set_what_is_no_setting,
    "give a setting in seconds": set_seconds,
    "take Redis for the broker": take_redis,
    "start no worker and no beat": start_no_worker,
}


def table():
    """Return what the manual's table says, by what was done; Markdown has ``_`` with a backslash."""
    return {row["done"]: row["said"].replace("\\_", "_") for row in ROW.finditer(PAGE.read_text())}


@pytest.fixture(scope="module")
def said_of_code(tmp_path_factory):
    host = mistaken(tmp_path_factory.mktemp("mistaken"))
    host.manage("migrate", "--verbosity", "0")
    return host.python(TELL.format(snippets=IN_CODE))


def test_the_manual_s_table_has_them_all():
    assert set(table()) == {*IN_CODE, *IN_PROJECT}


@pytest.mark.parametrize("done", IN_CODE)
def test_a_mistake_in_the_code_is_answered_by_a_sentence_that_says_what_to_do(said_of_code, done):
    assert table()[done] in said_of_code[done]


def test_who_includes_the_addresses_and_forgets_to_install_is_told_the_same(tmp_path):
    urls = 'from django.urls import include, path\nurlpatterns = [path("", include("outbox.urls"))]\n'
    left_alone = {"orders/consumers.py": "", "shipping/consumers.py": "", "myproject/urls.py": urls}

    said = mistaken(tmp_path, without='INSTALLED_APPS += ["outbox"]', replace=left_alone).manage("check", fails=True)

    assert table()["forget `outbox` in `INSTALLED_APPS`"] in said


@pytest.mark.parametrize("done", IN_PROJECT)
def test_a_mistake_in_the_project_is_answered_by_a_sentence_that_says_what_to_do(tmp_path, done):
    assert table()[done] in " ".join(IN_PROJECT[done](tmp_path).split())
