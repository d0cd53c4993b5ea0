"""``manage.py up``: everything that Makegood needs to run on real services, under one supervisor."""

import os
import re
import sys
from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from config.processes import roles
from config.processes.arguments import (
    WITHOUT_TLS,
    add_process_arguments,
    is_for_this_machine_only,
    why_not_here,
)
from config.processes.supervisor import Role, Supervisor, SupervisorError, ToldToStop, stopping_on_signals

READY_WITHIN = timedelta(seconds=60)
CHORES = re.compile(
    r" INFO \d+ celery\.(beat|worker\.strategy|app\.trace) .*\| "
    r"(Scheduler: Sending due task outbox: |Task outbox\.(?!deliver\b))"
)
"""Celery's lines of the engine's own chores, about ten a second: on the terminal all else would scroll away."""


class Command(BaseCommand):
    """Check, migrate, start web, workers, beat and receiver, and run until told to stop."""

    help = (
        "Runs web, worker, control worker, beat and receiver on the services named by DATABASE_URL and "
        "CELERY_BROKER_URL, and restarts what dies. Process managers run each of the five by `start`; see "
        "docs/pages/this-project.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the address and how many processes."""
        add_process_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run until a signal comes."""
        if settings.EMBEDDED:
            raise CommandError("EMBEDDED is set; `make up` is for real services. To try Makegood, use `make demo`.")
        if reason := why_not_here(options["bind"]):
            raise CommandError(reason)
        call_command("check", deploy=True, fail_level="ERROR", stderr=self.stderr)
        # To the stream itself: through ``self.stdout`` each " OK" would stand on a line of its own.
        call_command("migrate", interactive=False, stdout=options.get("stdout") or sys.stdout)
        call_command("collectstatic", interactive=False, verbosity=0)
        processes = roles.installation(options, web_env=self._without_tls(options["bind"]))
        logs = Path(settings.STATE_DIR) / "logs"
        self.stdout.write(f"Everything is logged in {logs}; what is usual of the engine's chores stands there alone.")
        supervisor = Supervisor(processes, logs=logs, echo=sys.stdout, unechoed=CHORES)
        try:
            with stopping_on_signals(), supervisor:
                for role in processes:
                    self._see_up(supervisor, role)
                supervisor.stay()
        except ToldToStop as told:
            self.stdout.write(f"{told}: everything is stopped.")

    def _without_tls(self, bind: str) -> dict[str, str]:
        """Return what keeps web from leading to an https that is not there; nothing if a proxy ends TLS, or may."""
        if settings.SECURE_PROXY_SSL_HEADER or settings.DEBUG or not is_for_this_machine_only(bind):
            return {}
        env = {name: value for name, value in WITHOUT_TLS.items() if name not in os.environ}
        if env:
            self.stdout.write(
                f"Served without TLS, to this machine only: http://{bind}/admin/ (BEHIND_TLS_PROXY=1 if a proxy ends "
                "TLS). The first login: manage.py createsuperuser"
            )
        return env

    def _see_up(self, supervisor: Supervisor, role: Role) -> None:
        """Say whether the role came up. If not, the rest runs on: the broker may only be away for a while."""
        try:
            supervisor.wait_until_ready(role.name, within=READY_WITHIN)
        except SupervisorError as error:
            self.stderr.write(self.style.ERROR(str(error)))
        else:
            self.stdout.write(f"{role.name} is up")
