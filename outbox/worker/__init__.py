"""Celery's side: how workers take hints, what the host's app needs, and the watch over beat."""
