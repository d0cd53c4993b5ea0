"""A queue of ours was left over with other arguments: the stranger's worker serves the rest and says what to do."""

import pytest
from django.conf import settings as ours
from kombu import Connection

from tests.harness.program import eventually
from tests.system.hosts.conftest import django_database, project

pytestmark = [pytest.mark.services, pytest.mark.processes]

SETTINGS = """
from datetime import timedelta

DATABASES = {{"default": {database!r}}}
CELERY_BROKER_URL = {broker!r}
CELERY_TASK_DEFAULT_QUEUE = "{prefix}.tasks"
CELERY_ACCEPT_CONTENT = ["json", "application/x-stranger"]
OUTBOX = {{"PREFIX": "{prefix}", "GRACE": timedelta(seconds=1), "RESCAN_OVERDUE": timedelta(seconds=1)}}
"""


def test_the_others_are_delivered_and_worker_status_and_check_name_the_queue(database, prefix, tmp_path):
    prefix = f"{prefix}r"
    own_database = database("refused")
    settings = SETTINGS.format(database=django_database(own_database), broker=ours.CELERY_BROKER_URL, prefix=prefix)
    leftover = f"{prefix}.orders.add_points"
    command = f"rabbitmqctl -p '/' delete_queue '{leftover}'"
    with project(tmp_path, prefix, settings=settings) as host, Connection(ours.CELERY_BROKER_URL) as connection:
        host.manage("migrate", "--verbosity", "0")
        connection.channel().queue_declare(leftover, durable=True, auto_delete=False)
        worker = host.worker(f"{prefix}-worker", "-c", "1")
        try:
            host.python(
                """
                from django.db import transaction
                from outbox import publish
                with transaction.atomic():
                    publish("order.paid", key="1", payload={})
                answer("published")
                """
            )

            shipped = "SELECT count(*) FROM outbox_message WHERE consumer = 'shipping.ship' AND status = 'success'"
            eventually(lambda: own_database.rows(shipped) == [(1,)], within=15)
            eventually(
                lambda: (
                    "W031"
                    in host._run(
                        ["-m", "django", "check", "--database", "default", "--fail-level", "WARNING"], fails=True
                    )
                ),
                within=15,
            )
            assert command in host.manage("check", "--database", "default", "--fail-level", "WARNING", fails=True)
            assert command in host.manage("outbox_status", fails=True)
            assert f"the broker refuses the queue {leftover}, which is not consumed; the others are" in worker.said()
            assert "Traceback" not in worker.said()
        finally:
            worker.end()
