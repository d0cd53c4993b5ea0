"""django-celery-outbox 0.4.3: rows written in the transaction, a relay that sends them, Celery workers that act."""
