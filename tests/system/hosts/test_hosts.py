"""Hosts that differ from the manual's: another alias, local times, another Celery app, eager tasks, mistakes."""

import pytest
from django.conf import settings as ours

from tests.harness.beat import BEAT_TABLES, needs_beat_tables
from tests.harness.program import eventually
from tests.system.hosts.conftest import django_database, project
from tests.system.hosts.host import Host

SQLITE = """
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{folder}/db.sqlite3"}}}}
CELERY_BROKER_URL = "amqp://nobody:nothing@127.0.0.1:1//"
CELERY_TASK_ALWAYS_EAGER = True
"""

UNUSUAL = """
from datetime import timedelta

DATABASES = {{"default": {default!r}, "other": {other!r}}}
DATABASES["other"]["ATOMIC_REQUESTS"] = True
DATABASE_ROUTERS = ["myproject.routers.EverythingOfOurs"]
USE_TZ = False
TIME_ZONE = "Asia/Shanghai"
DJANGO_CELERY_BEAT_TZ_AWARE = False
INSTALLED_APPS += ["django.contrib.admin", "django.contrib.sessions", "django.contrib.messages", *{beat_tables!r}]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware",
              "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
TEMPLATES = [{{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {{
    "context_processors": ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                           "django.contrib.messages.context_processors.messages"]}}}}]
STATIC_URL = "static/"
broker_url = {broker!r}
task_default_queue = "{prefix}.tasks"
OUTBOX = {{"PREFIX": "{prefix}", "DATABASE": "other", "GRACE": timedelta(seconds=1), "LEASE": timedelta(seconds=2)}}
"""

ROUTERS = """
class EverythingOfOurs:
    def db_for_read(self, model, **hints):
        return "other" if model._meta.app_label in ("orders", "shipping") else None

    db_for_write = db_for_read
"""

BACKGROUND = """
from celery import Celery
import outbox

warehouse = Celery("the warehouse")
outbox.configure(warehouse)
warehouse.config_from_object("django.conf:settings")
warehouse.autodiscover_tasks()
"""

URLS = """
from django.contrib import admin
from django.urls import path
from orders import views

urlpatterns = [path("pay/<int:pk>/", views.pay), path("admin/", admin.site.urls)]
"""


@pytest.fixture(scope="module")
def unusual(database, prefix, tmp_path_factory):
    """The engine on the alias "other", local times without zones, a Celery app of another name, without a namespace."""
    folder, prefix = tmp_path_factory.mktemp("unusual"), f"{prefix}b"
    other = database("other")
    settings = UNUSUAL.format(
        default=django_database(database("default")),
        other=django_database(other),
        broker=ours.CELERY_BROKER_URL,
        prefix=prefix,
        beat_tables=BEAT_TABLES,
    )
    replace = {
        "myproject/__init__.py": "from myproject.background import warehouse",
        "myproject/background.py": BACKGROUND,
        "myproject/routers.py": ROUTERS,
        "myproject/urls.py": URLS,
    }
    with project(folder, prefix, settings=settings, replace=replace) as host:
        (folder / "myproject/celery.py").unlink()
        host.manage("migrate", "--verbosity", "0")
        host.manage("migrate", "--verbosity", "0", "--database", "other")
        host.prefix, host.rows = prefix, other.rows
        yield host


@pytest.fixture
def eager(tmp_path) -> Host:
    """A host that runs its tasks eagerly, on SQLite, with a broker that does not answer: a developer's machine."""
    return Host(tmp_path, settings=SQLITE.format(folder=tmp_path))


@pytest.mark.services
@pytest.mark.processes
def test_an_engine_on_another_alias_migrates_publishes_and_delivers(unusual):
    answers = unusual.python(
        """
        from django.test import Client
        client = Client(raise_request_exception=False)
        answer([client.get("/pay/1/").status_code, client.get("/pay/2/?fail").status_code])
        """
    )
    worker = unusual.worker(f"{unusual.prefix}-worker", "-c", "2", app="myproject.background:warehouse")
    try:
        eventually(
            lambda: unusual.rows("SELECT count(*) FROM outbox_message WHERE status = 'success'") == [(3,)], within=10
        )
    finally:
        worker.end()

    assert answers == [200, 500]
    entries = unusual.rows("SELECT what FROM orders_entry ORDER BY id")
    assert entries == [("paid 1",), ("points 1",), ("congratulated 1",)]
    assert unusual.rows('SELECT "order" FROM shipping_shipment') == [("1",)]
    age = "SELECT extract(epoch FROM now() - max(created_at)) BETWEEN 0 AND 60 FROM outbox_message"
    assert unusual.rows(age) == [(True,)]


@pytest.mark.services
@pytest.mark.processes
def test_the_admin_shows_the_rows_of_the_engine_s_alias(unusual):
    answers = unusual.python(
        """
        from django.contrib import admin
        from django.contrib.auth.models import User
        from django.db import transaction
        from django.test import Client, override_settings
        from outbox import publish
        override_settings(USE_TZ=True).enable()
        with transaction.atomic(using="other"):
            [row, *rest] = publish("points.added", key="shown", payload={})
        client = Client(headers={"host": "localhost"})
        client.force_login(User.objects.create_superuser("ada", password="x"))
        listed = client.get("/admin/outbox/message/")
        one = client.get(f"/admin/outbox/message/{row}/change/", follow=True)
        ours = [model for model in admin.site._registry if model._meta.app_label == "outbox"]
        answer({
            "pages": [listed.status_code, one.status_code],
            "shown": "shown" in one.content.decode(),
            "elsewhere": [model.__name__ for model in ours if model._default_manager.all().db != "other"],
        })
        """
    )

    assert answers == {"pages": [200, 200], "shown": True, "elsewhere": []}


@needs_beat_tables
@pytest.mark.services
@pytest.mark.processes
def test_beat_s_entries_are_made_where_django_celery_beat_has_its_tables(unusual):
    entries = unusual.python(
        """
        from django_celery_beat.models import PeriodicTask
        answer(sorted(PeriodicTask.objects.filter(task__startswith="outbox.").values_list("task", flat=True)))
        """
    )

    assert {"outbox.prune", "outbox.rescan"} <= set(entries)


@needs_beat_tables
@pytest.mark.services
@pytest.mark.processes
def test_beat_calls_the_chores_at_once_where_its_times_are_local_and_east_of_greenwich(unusual):
    beat = unusual.beat(app="myproject.background:warehouse")
    try:
        eventually(lambda: beat.said().count("Sending due task outbox: rescan") >= 2, within=20)
    finally:
        beat.end()

    assert unusual.python("from django.conf import settings; answer([settings.USE_TZ, settings.TIME_ZONE])") == [
        False,
        "Asia/Shanghai",
    ]


def test_a_host_s_own_tests_deliver_messages_without_a_broker(eager):
    said = eager.manage("test", "orders", "--verbosity", "1", fails=False)

    assert "traceback" not in said.lower()


def test_publishing_without_a_broker_neither_fails_nor_waits(eager):
    eager.manage("migrate", "--verbosity", "0")

    took, statuses = eager.python(
        """
        import time
        from django.db import transaction
        from outbox import Message, publish
        began = time.monotonic()
        for key in range(20):
            with transaction.atomic():
                publish("order.paid", key=key, payload={})
        took = time.monotonic() - began
        answer([took, sorted(set(Message.objects.values_list("status", flat=True)))])
        """
    )

    assert took < 2
    assert statuses == ["pending"]


def test_a_project_that_does_not_import_its_celery_app_is_told_what_to_do(tmp_path):
    settings = SQLITE.format(folder=tmp_path)
    forgetful = Host(tmp_path, settings=settings, replace={"myproject/__init__.py": ""})

    said = forgetful.manage("check", fails=True)

    assert "ImproperlyConfigured" in said
    assert "Call outbox.configure(app)" in said
    assert "__init__.py" in said


def test_all_that_is_wrong_in_the_settings_is_told_by_check_without_a_traceback(tmp_path):
    settings = SQLITE.format(folder=tmp_path) + '\nOUTBOX = {"PREFIXX": "a", "LEASE": 3}\n'
    mistaken = Host(tmp_path, settings=settings)

    said = mistaken.manage("check", fails=True)

    assert "Traceback" not in said
    assert "unknown keys ['PREFIXX']" in said
    assert 'OUTBOX["LEASE"] must be of type timedelta' in said
