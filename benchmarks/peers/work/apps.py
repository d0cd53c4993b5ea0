"""The app of the work, in every contestant's database."""

from django.apps import AppConfig


class WorkConfig(AppConfig):
    """One table, the same for all."""

    name = "benchmarks.peers.work"
    label = "work"
    default_auto_field = "django.db.models.BigAutoField"
