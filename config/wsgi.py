"""The door for a WSGI server such as gunicorn."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django_application = get_wsgi_application()
_ = get_resolver().url_patterns  # read now, with every view, and not while the first person waits

from awards.views.door import SaleDoor  # noqa: E402  # the apps must be ready

application = SaleDoor(django_application)
