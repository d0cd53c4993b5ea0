"""``manage.py outbox_receiver``: the process that takes in what others send."""

import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from outbox import sources
from outbox.external.ingest import receivers
from outbox.external.receipts.reading import receiver_for


class Command(BaseCommand):
    """Takes in from the queues of all sources, and receipts, or of those that are named, until told to stop."""

    help = "Take in what others send, from the queues that receive() names in consumers.py. Ends on SIGTERM."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take which sources."""
        parser.add_argument("sources", nargs="*", metavar="SOURCE", help="of these alone; all without a name")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Receive until a signal comes."""
        names: list[str] = options["sources"] or [source.name for source in sources.all_sources()]
        chosen = [sources.get_source(name) for name in names]
        if unknown := [name for name, source in zip(names, chosen, strict=True) if source is None]:
            raise CommandError(f"{unknown[0]}: no receive() in a consumers.py has this source")
        stopping = threading.Event()
        receivers.stop_on_signals(stopping)
        connections.close_all()
        listed = ", ".join(names) or "no source; receive() in a consumers.py names one"
        ended = receivers.run(
            [source for source in chosen if source is not None],
            stopping=stopping,
            receiver_for=receiver_for,
            ready=lambda: self.stdout.write(f"outbox receiver ready: {listed}"),
        )
        if not ended:
            raise CommandError("a receiver has failed, or did not end in time; its log says why")
