"""A stranger's project: Django and Celery of its own, which takes in the outbox by the README's four steps."""
