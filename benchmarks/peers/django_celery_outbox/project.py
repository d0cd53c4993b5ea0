"""The Celery app, of the class that writes tasks into the outbox."""

import logging
import os

import structlog
from django_celery_outbox import OutboxCelery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.peers.django_celery_outbox.settings")

app = OutboxCelery("django_celery_outbox_peer")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["benchmarks.peers.django_celery_outbox"])
if os.environ.get("BENCH_TUNED") == "1":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
