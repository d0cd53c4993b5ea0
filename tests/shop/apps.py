import os
from datetime import timedelta
from importlib import import_module

from django.apps import AppConfig
from django.conf import settings

from tests.second_alias import let_tests_mean


class ShopConfig(AppConfig):
    name = "tests.shop"
    label = "shop"

    def ready(self) -> None:
        if settings.OUTBOX.get("DATABASE"):
            let_tests_mean(settings.OUTBOX["DATABASE"])
        if "BROKER_LOOK_EVERY" in os.environ:
            look_at_the_broker(every=float(os.environ["BROKER_LOOK_EVERY"]))


def look_at_the_broker(*, every: float) -> None:
    """Have real processes look at the broker more often than the engine does, so that the tests wait less."""
    import_module("outbox.worker.broker_watch").LOOK_EVERY = every
    looks = import_module("outbox.monitoring.broker")
    looks.EVERY, looks.TAKEN_OVER_AFTER = timedelta(seconds=0.8 * every), timedelta(seconds=1.6 * every)
