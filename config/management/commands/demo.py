"""``manage.py demo``, which ``make demo`` runs in the environment of its clone."""

import fcntl
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from awards.management.arguments import whole_number
from config.demo.demonstration import Demonstration, DemoOptions
from config.demo.load import DrawingFailed
from config.processes.arguments import free_port, free_port_number
from config.processes.service_checks import why_no_broker
from config.processes.supervisor import SupervisorError, ToldToStop, stopping_on_signals

PORT = 8000


class Command(BaseCommand):
    """Start everything, draw, and show where to look; with ``--exit`` reconcile and end."""

    help = (
        "Starts web, workers, beat and a vendor that fails now and then as real processes, makes draws, and shows "
        "where to look. With --exit it ends by itself, and its last line is what became of the draws, as JSON."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how much to draw, and what to break."""
        parser.add_argument(
            "--draws", type=whole_number(0, 1_000_000), default=300, help="how many draws to make (300)"
        )
        parser.add_argument(
            "--sale", type=whole_number(0, 100_000), default=200, help="how many people come to the flash sale (200)"
        )
        parser.add_argument("--seed", type=int, default=7, help="decides who draws, and when the vendor fails")
        parser.add_argument("--port", type=free_port_number, help="where to serve (8000, or another if that is taken)")
        parser.add_argument("--exit", action="store_true", help="end when every message is finished or exhausted")
        parser.add_argument(
            "--kill-worker",
            type=whole_number(0, 1_000),
            default=0,
            metavar="N",
            help="kill -9 the worker N times while the draws flow, to see that nothing is lost",
        )
        parser.add_argument(
            "--patience", type=whole_number(1, 86_400), default=300, help="seconds for the settling, with --exit (300)"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the demo, alone in its clone."""
        demo_options = DemoOptions(
            draws=options["draws"],
            sale=options["sale"],
            seed=options["seed"],
            port=free_port(PORT) if options["port"] is None else options["port"],
            kill_worker=options["kill_worker"],
            exit=options["exit"],
            settle_timeout=timedelta(seconds=options["patience"]),
        )
        if options["port"] is None and demo_options.port != PORT:
            self.stdout.write(f"Port {PORT} is taken; served at {demo_options.port} (--port N is another).")
        if not settings.EMBEDDED and (reason := why_no_broker()):
            raise CommandError(reason)
        try:
            with stopping_on_signals(), _alone():
                sound = Demonstration(demo_options, out=sys.stdout).run()
        except ToldToStop as told:
            self.stdout.write(f"{told}: everything is stopped. What happened is kept in {settings.STATE_DIR}.")
        except (SupervisorError, DrawingFailed) as error:
            raise CommandError(str(error)) from error
        else:
            sys.exit(0 if sound else 1)


@contextmanager
def _alone() -> Iterator[None]:
    """Refuse a second demo with the same state: two would take each other's messages for their own."""
    with (Path(settings.STATE_DIR) / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(f"another demo is running with the state in {settings.STATE_DIR}") from error
        yield
