"""The app as Django sees it: finds the consumers, attaches their queues, makes the beat entries."""

import sys
from importlib import import_module
from pathlib import Path

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from outbox.conf import conf_problems
from outbox.errors import BrokerAway


def _is_management_command() -> bool:
    program = Path(sys.argv[0])
    return program.name in ("manage.py", "django-admin") or program.parts[-2:] == ("django", "__main__.py")


class OutboxConfig(AppConfig):
    """Start-up: nothing here opens a connection."""

    name = "outbox"
    verbose_name = _("Outbox")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import every app's ``consumers.py`` and our tasks, and tell Celery's workers about our queues."""
        autodiscover_modules("consumers")
        import_module("outbox.external.receipts.sending").add_receipt_consumers()
        import_module("outbox.checks")
        schedule = import_module("outbox.maintenance.schedule")
        post_migrate.connect(schedule.ensure_entries, sender=self)
        post_migrate.connect(import_module("outbox.maintenance.groups").make_groups_once, sender=self)
        if conf_problems() and _is_management_command():
            return  # manage.py check, which every command begins with, says all of them without a traceback
        integration = import_module("outbox.worker.integration")
        try:
            integration.attach_queues()
        except BrokerAway as error:
            raise ImproperlyConfigured(
                "outbox has no Celery app. Call outbox.configure(app) in the module that makes your Celery app, and "
                "import that module in your project's __init__.py."
            ) from error
