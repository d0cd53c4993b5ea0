"""The app in whose ``consumers.py`` the work is done."""

from django.apps import AppConfig


class MakegoodConfig(AppConfig):
    """Only consumers, no tables."""

    name = "benchmarks.peers.makegood"
    label = "bench"
