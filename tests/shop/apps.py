from django.apps import AppConfig
from django.conf import settings

from tests.second_alias import let_tests_mean


class ShopConfig(AppConfig):
    name = "tests.shop"
    label = "shop"

    def ready(self) -> None:
        if settings.OUTBOX.get("DATABASE"):
            let_tests_mean(settings.OUTBOX["DATABASE"])
