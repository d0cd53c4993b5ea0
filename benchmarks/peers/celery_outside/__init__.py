"""Bare Celery whose tasks call the vendor, in threads or greenlets; gevent is in an environment of its own."""
