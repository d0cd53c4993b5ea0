"""The project's Celery app; what the outbox's queues need is set by ``outbox.configure``."""

import os

from celery import Celery

import outbox

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("makegood")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
outbox.configure(app)
