"""An app that makes a process forget a consumer once all are found, as if its code were older."""

from django.apps import AppConfig

from outbox import registry


class ForgetfulConfig(AppConfig):
    """Must come after the outbox in ``INSTALLED_APPS``."""

    name = "tests.system.faults"
    label = "forgetful"

    def ready(self) -> None:
        registry.forget_consumer("shop.book")
