"""The app's entry in ``INSTALLED_APPS``."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AwardsConfig(AppConfig):
    """Raffles and what is won in them. Nothing happens at start-up; the outbox finds ``consumers.py`` by itself."""

    name = "awards"
    verbose_name = _("Awards")
    default_auto_field = "django.db.models.BigAutoField"
