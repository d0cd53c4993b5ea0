"""The package as its quick start has it; tuned after its pages *Relay Tuning* and *Configuration*.

Tuned: batches of 1000, idle 0.05 s, publisher confirms (its README names them as what the guarantee rests on), statsd,
structlog context and per-message logging off; and for Celery what ``celery/settings.py`` says.
"""

from benchmarks.peers.base import *  # noqa: F403
from benchmarks.peers.base import INSTALLED_APPS, TUNED

INSTALLED_APPS = [*INSTALLED_APPS, "django_celery_outbox"]
CELERY_OUTBOX_APP = "benchmarks.peers.django_celery_outbox.project.app"
if TUNED:
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
    MONITORING_METRICS_ENABLED = False
    CELERY_OUTBOX_STRUCTLOG_ENABLED = False
