"""Whether beat's tables can be had: there is no django-celery-beat yet for Django 6.1."""

from importlib.util import find_spec

import pytest

BEAT_TABLES = [name for name in ["django_celery_beat"] if find_spec(name)]
WHY_NOT = "django-celery-beat is not installed here"
needs_beat_tables = pytest.mark.skipif(not BEAT_TABLES, reason=WHY_NOT)
