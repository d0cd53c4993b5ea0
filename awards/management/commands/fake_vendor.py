"""``manage.py fake_vendor``: a vendor of gifts that times out, fails and refuses on demand."""

import signal
import sqlite3
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from awards.fake_vendor.book import Book
from awards.fake_vendor.modes import DISCONTINUED, Modes
from awards.fake_vendor.server import FakeVendor
from awards.management.arguments import port_number

BOOK = Path(settings.STATE_DIR) / "vendor-book.sqlite3"


class Command(BaseCommand):
    """Serve until SIGTERM or SIGINT."""

    help = "Runs a vendor of gifts to practise on. Its book keeps every order really shipped; POST /control changes it."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take address, book and modes."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=port_number, default=8900, help="0 takes any that is free; it is printed")
        parser.add_argument("--book", type=Path, default=BOOK, help="the book's file")
        parser.add_argument("--seed", type=int, default=None, help="makes the faults repeatable")
        parser.add_argument("--busy", type=float, default=0.0, help="share of requests answered 503 or 429")
        parser.add_argument("--fail", type=float, default=0.0, help="share answered 500, before shipping")
        parser.add_argument("--hang", type=float, default=0.0, help="share shipped, but answered far too late")
        parser.add_argument("--cut", type=float, default=0.0, help="share shipped, but the connection is cut")
        parser.add_argument("--hang-seconds", type=float, default=30.0, help="how late is far too late")
        parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
        parser.add_argument("--refuse", action="append", metavar="SKU", help=f"refused for good ({DISCONTINUED})")
        parser.add_argument("--forgetful", action="store_true", help="ignores idempotency keys, and ships again")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Serve, and say where."""
        try:
            modes = Modes(
                busy=options["busy"],
                fail=options["fail"],
                hang=options["hang"],
                cut=options["cut"],
                hang_seconds=options["hang_seconds"],
                delay=options["delay"],
                refuse=tuple(options["refuse"] or [DISCONTINUED]),
                forgetful=options["forgetful"],
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        try:
            options["book"].parent.mkdir(parents=True, exist_ok=True)
            book = Book(options["book"])
        except (OSError, sqlite3.Error) as error:
            raise CommandError(f"cannot keep a book in {options['book']}: {error}") from error
        try:
            vendor = FakeVendor((options["host"], options["port"]), book=book, modes=modes, seed=options["seed"])
        except OSError as error:
            raise CommandError(f"cannot listen on {options['host']}:{options['port']}: {error}") from error
        self._serve(vendor)
        book.close()

    def _serve(self, vendor: FakeVendor) -> None:
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        threading.Thread(target=vendor.serve_forever, name="vendor", daemon=True).start()
        self.stdout.write(f"fake vendor ready on {vendor.url}")
        self.stdout.flush()
        stopped.wait()
        vendor.stop()
