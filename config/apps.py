"""The project's entry in ``INSTALLED_APPS``."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """The project itself, so that ``manage.py`` finds the commands that run its processes. It has no tables."""

    name = "config"
    verbose_name = "Makegood"
