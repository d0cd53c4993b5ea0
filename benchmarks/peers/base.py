"""What the settings of all peers have in common; each adds its own."""

import os

import dj_database_url
from celery import Celery

import outbox

SECRET_KEY = "only for benchmarks"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "benchmarks.peers.work"]
if os.environ.get("BENCH_DRAWS") == "1":
    # The business whose draws are timed; it sends its messages through the peer, and our engine is only a guest.
    outbox.configure(Celery("unused", set_as_current=False))
    INSTALLED_APPS += ["django.contrib.sessions", "django.contrib.messages", "django_celery_beat", "outbox", "awards"]
TUNED = os.environ.get("BENCH_TUNED") == "1"
PREFIX = os.environ["OUTBOX_PREFIX"]

# Connections are kept where the peer is tuned; Django's default is a new one for each task.
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=None if TUNED else 0)}

CELERY_BROKER_URL = os.environ["CELERY_BROKER_URL"]
CELERY_TASK_DEFAULT_QUEUE = f"{PREFIX}.tasks"
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if TUNED:
    CELERY_DB_REUSE_MAX = 1_000_000
    CELERY_WORKER_PREFETCH_MULTIPLIER = 64

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
