"""The project: settings from the environment, the Celery app, the addresses, the WSGI door."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
