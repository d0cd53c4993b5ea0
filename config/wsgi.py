"""The door for a WSGI server such as gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django_application = get_wsgi_application()

from awards.views.door import SaleDoor  # noqa: E402  # the apps must be ready

application = SaleDoor(django_application)
