"""Hosts that are not as ours: an app alone is migrated, there is no admin, nothing can fork."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from outbox.maintenance.schedule import ENTRIES
from tests.harness.beat import BEAT_TABLES
from tests.harness.program import ROOT

WITHOUT_ADMIN = """
from tests.settings import *
INSTALLED_APPS = [a for a in INSTALLED_APPS if a not in ("django.contrib.admin", "config", "awards", "tests.shop")]
ROOT_URLCONF = "outbox.urls"
"""
WITHOUT_BUSINESS = """
from tests.settings import *
INSTALLED_APPS = [a for a in INSTALLED_APPS if a not in ("config", "awards", "tests.shop")]
ROOT_URLCONF = "outbox.urls"
"""
ON_WINDOWS = """
import os
for name in ("fork", "register_at_fork"):
    delattr(os, name)
import django
django.setup()
import outbox
print(outbox.publish.__name__, hasattr(os, "register_at_fork"))
"""
DELIVERED = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.db import transaction
import outbox
from outbox.testing import deliver_pending, silenced

@outbox.consumer("bare.said", name="bare.ear")
def hear(message):
    pass

with silenced(), transaction.atomic():
    outbox.publish("bare.said", key="1", payload={})
print(deliver_pending()[0].outcomes)
"""
GROUPS_MADE = """
import django
django.setup()
from django.contrib.auth.models import Group
from outbox.maintenance.groups import GROUPS
print(Group.objects.filter(name__in=GROUPS).count())
"""
ENTRIES_MADE = """
import django
django.setup()
from django_celery_beat.models import PeriodicTask
print(PeriodicTask.objects.filter(name__startswith="outbox: ").count())
"""


def run(folder: Path, *arguments: str, settings: str = "tests.settings") -> str:
    """Run Python as a host with an empty embedded database would, and return what it has said."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "SUITE", "DATABASE", "ENGINE"))
    }
    environment = {
        **kept,
        "EMBEDDED": "1",
        "STATE_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": settings,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
    }
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.mark.parametrize("app", ["outbox", "auth"])
def test_an_app_can_be_migrated_alone_and_the_next_migrate_completes_it(tmp_path: Path, app: str) -> None:
    run(tmp_path, "-m", "django", "migrate", app, "-v0")
    run(tmp_path, "-m", "django", "migrate", "-v0")

    assert run(tmp_path, "-c", GROUPS_MADE) == "4"
    assert not BEAT_TABLES or run(tmp_path, "-c", ENTRIES_MADE) == str(len(ENTRIES))


def test_after_uninstalling_migrate_to_nothing_makes_neither_groups_nor_entries_anew(tmp_path: Path) -> None:
    (tmp_path / "without_business.py").write_text(WITHOUT_BUSINESS)  # to which the groups would have permissions
    alone = {"settings": "without_business"}
    run(tmp_path, "-m", "django", "migrate", "-v0", **alone)
    run(tmp_path, "-m", "django", "outbox_uninstall", "--yes", **alone)

    run(tmp_path, "-m", "django", "migrate", "outbox", "zero", "-v0", **alone)

    assert "outbox_message" not in run(tmp_path, "-m", "django", "outbox_uninstall", **alone)
    assert run(tmp_path, "-c", GROUPS_MADE, **alone) == "0"
    assert not BEAT_TABLES or run(tmp_path, "-c", ENTRIES_MADE, **alone) == "0"


def test_without_the_admin_the_checks_run_and_messages_are_delivered(tmp_path: Path) -> None:
    (tmp_path / "without_admin.py").write_text(WITHOUT_ADMIN)

    run(tmp_path, "-m", "django", "check", settings="without_admin")
    assert run(tmp_path, "-c", DELIVERED, settings="without_admin") == "('success',)"


def test_it_is_imported_where_nothing_forks(tmp_path: Path) -> None:
    assert run(tmp_path, "-c", ON_WINDOWS) == "publish False"
