"""Bare Celery: ``delay`` in ``on_commit``. A task under way is lost with its process, so it does less than we do."""
