"""The project's Celery app; what the outbox's queues need is set by ``outbox.configure``."""

import logging
import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

import outbox

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("makegood")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
outbox.configure(app)


@setup_logging.connect
def log_as_the_settings_say(*, loglevel: int, **_kwargs: Any) -> None:
    """Write ``LOGGING``'s format in workers and beat, which otherwise set up one of their own; ``-l`` is the level.

    What a consumer prints is logged, as Celery has it.
    """
    logging.config.dictConfig(settings.LOGGING)
    logging.getLogger().setLevel(loglevel)
    app.log.redirect_stdouts("WARNING")  # type: ignore[arg-type]  # the stubs want a number; pool processes, the name
