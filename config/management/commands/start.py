"""``manage.py start ROLE``: one of the processes of ``up`` by itself, for systemd, compose and their like."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.processes import roles
from config.processes.arguments import add_process_arguments


class Command(BaseCommand):
    """Become the process: signals reach it, and its exit status is the command's."""

    help = (
        "Becomes web, worker, control, beat or receiver, exactly as `up` runs it, on the services named by "
        "DATABASE_URL and CELERY_BROKER_URL. Migrate and collect the static files before."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take which, where to serve, and how many processes."""
        parser.add_argument("role", choices=["web", "worker", "control", "beat", "receiver"])
        add_process_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the process in place of this one."""
        if settings.EMBEDDED:
            raise CommandError("EMBEDDED is set; `start` is for real services. To try Makegood, use `make demo`.")
        [role] = [each for each in roles.installation(options) if each.name == options["role"]]
        sys.stdout.flush()
        os.execve(role.argv[0], list(role.argv), {**os.environ, **role.env})  # noqa: S606  # the role's fixed list
