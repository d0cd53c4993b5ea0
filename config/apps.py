"""The project's entry in ``INSTALLED_APPS``."""

from importlib import import_module

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class ProjectConfig(AppConfig):
    """The project itself, so that ``manage.py`` finds the commands that run its processes. It has no tables."""

    name = "config"
    verbose_name = "Makegood"

    def ready(self) -> None:
        """Let whoever sees messages see the business behind them."""
        groups = import_module("config.groups")
        post_migrate.connect(groups.let_groups_see_the_business, sender=apps.get_app_config("awards"))
