"""The wheel in an empty virtualenv outside the repository, and a stranger's project that has nothing else of ours."""

from contextlib import contextmanager

import pytest
from django.conf import settings as ours

from tests.harness.archives import build_archives
from tests.harness.program import ROOT
from tests.system.hosts.conftest import django_database, project
from tests.system.hosts.host import Host
from tests.system.hosts.virtualenv import virtualenv

SQLITE = """
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{folder}/db.sqlite3"}}}}
CELERY_BROKER_URL = "amqp://nobody:nothing@127.0.0.1:1//"
CELERY_TASK_ALWAYS_EAGER = True
"""
SERVICES = """
DATABASES = {{"default": {database!r}}}
CELERY_BROKER_URL = {broker!r}
CELERY_TASK_DEFAULT_QUEUE = "{prefix}.tasks"
CELERY_ACCEPT_CONTENT = ["json", "application/x-stranger"]
OUTBOX = {{"PREFIX": "{prefix}"}}
"""
DESK = """
DEBUG = True
INSTALLED_APPS += ["django.contrib.admin", "django.contrib.sessions", "django.contrib.messages",
                   "django.contrib.staticfiles", "django_celery_beat"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware",
              "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
    "context_processors": ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                           "django.contrib.messages.context_processors.messages"]}}]
STATIC_URL = "static/"
"""
URLS = """
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("", include("outbox.urls"))]
"""
INSTALLED = """
from importlib.util import find_spec
import outbox
names = ["awards", "config", "django_celery_beat", "psycopg", "psycopg2", "tests"]
answer([outbox.__file__, [name for name in names if find_spec(name)]])
"""
PAGES = """
import re
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.db import transaction
from django.test import Client
from outbox import publish
from outbox.models import Message
from outbox.testing import deliver_pending, silenced

with silenced(), transaction.atomic():
    publish("order.paid", key="7", payload={})
failed = Message.objects.filter(consumer="orders.add_points")
failed.update(status="failed", attempts=1, finished_at="2026-01-01T00:00Z", exhausted_at="2026-01-01T00:00Z")
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.create_superuser("ada", password="x"))
seen, linked = {}, ["/admin/outbox/", "/healthz", "/metrics"]
while linked:
    page = linked.pop()
    if page not in seen and len(seen) < 40:
        answered = client.get(page, follow=True)
        seen[page] = answered.status_code
        text = b"".join(answered).decode(errors="ignore")  # a page, or a file that is streamed
        found = re.findall(r'href="(/admin/outbox/[^"?#]*)', text)
        linked += [address.replace("&amp;", "&") for address in found]
styles = ["outbox/desk.css", "outbox/desk.js", "outbox/icons.svg"]
answer([seen, [style for style in styles if finders.find(style) is None]])
"""
ENTRIES = """
from django_celery_beat.models import PeriodicTask
answer(sorted(PeriodicTask.objects.values_list("task", flat=True)))
"""
LEFT = """
SELECT relname FROM pg_class WHERE relname LIKE 'outbox%%'
UNION SELECT proname FROM pg_proc WHERE proname LIKE 'outbox%%'
UNION SELECT tgname FROM pg_trigger WHERE tgname LIKE 'outbox%%'
UNION SELECT name FROM auth_group WHERE name LIKE 'Outbox%%'
UNION SELECT name FROM django_celery_beat_periodictask WHERE task LIKE 'outbox%%'
UNION SELECT model FROM django_content_type WHERE app_label = 'outbox'
UNION SELECT name FROM django_migrations WHERE app = 'outbox'
"""
PUBLISHED = """
from django.db import transaction
from outbox import publish
with transaction.atomic():
    publish("points.added", key="7", payload={})
answer("published")
"""
QUEUES = """
from kombu import Connection
from django.conf import settings
found = []
for name in ("control", "dead", "orders.add_points", "orders.congratulate", "shipping.ship"):
    with Connection(settings.CELERY_BROKER_URL) as connection:
        try:
            connection.channel().queue_declare(settings.OUTBOX["PREFIX"] + "." + name, passive=True)
        except connection.channel_errors:
            continue
        found.append(name)
answer(found)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_archives(tmp_path_factory.mktemp("wheel"))[0]


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """psycopg 3, neither django-celery-beat nor the other driver."""
    with virtualenv(tmp_path_factory.mktemp("bare") / "virtualenv", f"{wheel}[psycopg]") as python:
        yield python


@pytest.fixture(scope="module")
def full(wheel, tmp_path_factory):
    """psycopg 2 and django-celery-beat."""
    with virtualenv(tmp_path_factory.mktemp("full") / "virtualenv", f"{wheel}[psycopg2,beat]") as python:
        yield python


@pytest.fixture
def on_services(database, prefix, tmp_path):
    """Return a context manager that makes the stranger's project on a database and queues of its own, migrated."""

    @contextmanager
    def make(name, python, *, more="", replace=None):
        own, its_own = f"{prefix}{name}", database(name)
        settings = SERVICES.format(database=django_database(its_own), broker=ours.CELERY_BROKER_URL, prefix=own)
        with project(tmp_path, own, settings=settings + more, replace=replace, python=python) as host:
            host.prefix, host.rows = own, its_own.rows
            host.manage("migrate", "--verbosity", "0")
            yield host

    return make


@pytest.mark.processes
def test_without_services_a_stranger_s_tests_pass_on_what_was_installed(bare, tmp_path):
    host = Host(tmp_path, settings=SQLITE.format(folder=tmp_path), python=bare)

    where, found = host.python(INSTALLED)
    host.manage("check")
    host.manage("makemigrations", "--check", "--dry-run", "outbox")
    host.manage("test", "orders")

    assert not where.startswith(str(ROOT))
    assert found == ["psycopg"]


@pytest.mark.services
@pytest.mark.processes
def test_with_psycopg_3_without_beat_and_admin_messages_are_delivered(bare, on_services):
    with on_services("bare", bare) as host:
        host.manage("check", "--database", "default")
        worker = host.worker(f"{host.prefix}-worker", "-c", "1")
        try:
            said = host.python(
                """
                import time
                from django.db import transaction
                from outbox import Message, publish
                with transaction.atomic():
                    publish("order.paid", key="7", payload={})
                seen = lambda: sorted(Message.objects.values_list("status", flat=True))
                until = time.monotonic() + 20
                while seen() != ["success"] * 3 and time.monotonic() < until:
                    time.sleep(0.1)
                answer(seen())
                """
            )
        finally:
            worker.end()
        host.manage("test", "orders", "-k", "everything_that_follows")

    assert said == ["success"] * 3


@pytest.mark.services
@pytest.mark.processes
def test_with_psycopg_2_beat_and_the_admin_every_page_of_the_desk_is_there(full, on_services):
    with on_services("full", full, more=DESK, replace={"myproject/urls.py": URLS}) as host:
        host.manage("check")
        _where, found = host.python(INSTALLED)
        pages, missing = host.python(PAGES)
        entries = host.python(ENTRIES)

    assert found == ["django_celery_beat", "psycopg2"]
    assert {page: status for page, status in pages.items() if status != 200} == {}
    assert len(pages) > 10
    assert missing == []
    assert {"outbox.alert", "outbox.prune", "outbox.rescan", "outbox.roll_up"} <= set(entries)


@pytest.mark.services
@pytest.mark.processes
def test_what_is_uninstalled_leaves_nothing_in_the_database_and_at_the_broker(full, on_services):
    with on_services("gone", full, more=DESK, replace={"myproject/urls.py": URLS}) as host:
        host.python(PUBLISHED)
        refused = host.manage("outbox_uninstall", "--yes", fails=True)
        before = host.python(QUEUES)
        host.manage("outbox_uninstall", "--yes", "--discard")
        after = host.python(QUEUES)
        host.manage("migrate", "outbox", "zero", "--verbosity", "0")
        take_out(host)
        host.manage("remove_stale_contenttypes", "--include-stale-apps", "--no-input")
        host.manage("check")
        left = host.rows(LEFT)

    assert "unfinished (1)" in refused
    assert before == ["dead", "orders.congratulate"]
    assert after == []
    assert left == []


def take_out(host):
    """Take the outbox out of the project's code."""
    settings = host.folder / "myproject/settings.py"
    settings.write_text(settings.read_text() + '\nINSTALLED_APPS.remove("outbox")\n')
    (host.folder / "myproject/celery.py").write_text("from celery import Celery\n\napp = Celery()\n")
    (host.folder / "myproject/urls.py").write_text("urlpatterns = []\n")
