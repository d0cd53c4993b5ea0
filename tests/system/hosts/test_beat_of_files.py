"""A stranger without django-celery-beat: beat's own scheduler, with its file, calls the maintenance jobs."""

import sys

import pytest
from django.conf import settings as ours

from tests.harness.program import Program, eventually
from tests.system.hosts.conftest import django_database, project

pytestmark = [pytest.mark.services, pytest.mark.processes]

SETTINGS = """
from datetime import timedelta

DATABASES = {{"default": {database!r}}}
CELERY_BROKER_URL = {broker!r}
CELERY_TASK_DEFAULT_QUEUE = "{prefix}.tasks"
CELERY_ACCEPT_CONTENT = ["json", "application/x-stranger"]
CELERY_BEAT_SCHEDULE = {{"mine": {{"task": "outbox.alert", "schedule": 3600.0}}}}
OUTBOX = {{"PREFIX": "{prefix}", "RESCAN_OVERDUE": timedelta(hours=1)}}
"""
JOBS = "SELECT name FROM outbox_heartbeat WHERE name IN ('rescan', 'prune')"


def test_beat_calls_the_maintenance_jobs_and_leaves_the_host_s_own_entry(database, prefix, tmp_path):
    prefix = f"{prefix}f"
    own_database = database("files")
    settings = SETTINGS.format(database=django_database(own_database), broker=ours.CELERY_BROKER_URL, prefix=prefix)
    with project(tmp_path, prefix, settings=settings) as host:
        host.manage("migrate", "--verbosity", "0")
        worker = host.worker(f"{prefix}-worker", "-c", "1")
        argv = [sys.executable, "-m", "celery", "-A", "myproject", "beat", "-l", "INFO", "--pidfile=", "-s"]
        beat = Program(
            "beat", [*argv, str(tmp_path / "schedule")], environment=host.environment, log=tmp_path / "beat.log"
        )
        try:
            eventually(lambda: sorted(own_database.rows(JOBS)) == [("prune",), ("rescan",)], within=30)
            known = host.python(
                """
                from myproject.celery import app
                entries = app.conf.beat_schedule.values()
                answer(sorted((entry["task"], entry["schedule"]) for entry in entries))
                """
            )
        finally:
            beat.end()
            worker.end()

    assert known == [
        ["outbox.alert", 3600.0],
        ["outbox.books", 60.0],
        ["outbox.bulk", 1.0],
        ["outbox.check_audit", 10.0],
        ["outbox.check_back", 1.0],
        ["outbox.prune", 10.0],
        ["outbox.rescan", 1.0],
        ["outbox.roll_up", 60.0],
        ["outbox.sequences", 5.0],
    ]
    assert "Sending due task outbox: rescan (outbox.rescan)" in beat.said()
