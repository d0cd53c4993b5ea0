"""``manage.py outbox_status``: is everything in order, in a terminal or as JSON."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from outbox.management.acting import for_terminal
from outbox.models.sql.errors import describe
from outbox.monitoring.findings import Level, in_words
from outbox.monitoring.health import Health, health
from outbox.monitoring.measurements import CAP, ConsumerMeasurements

HEADER = ("consumer", "pending", "started", "oldest", "failed", "held back")
PLACES = "places"


class Command(BaseCommand):
    """Shows what ``health`` finds."""

    help = "Show consumers and findings. The exit status is 1 if something is critical."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the form of the answer."""
        parser.add_argument("--json", action="store_true", help="everything that was measured, as one JSON object")
        parser.add_argument("--all", action="store_true", help="the findings that are in order as well")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the answer, and end with 1 if it is critical."""
        try:
            seen = health()
        except Error as error:
            raise CommandError(describe(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(seen.as_json(), ensure_ascii=False, indent=2))
        else:
            self._print(seen, everything=options["all"])
        if seen.level is Level.CRITICAL:
            sys.exit(1)

    def _print(self, seen: Health, *, everything: bool) -> None:
        consumers = seen.measurements.consumers
        rows = [HEADER, *map(_row, consumers)]
        if any(consumer.places for consumer in consumers):
            columns = [PLACES, *map(_places, consumers)]
            rows = [(*row[:3], column, *row[3:]) for row, column in zip(rows, columns, strict=True)]
        for line in _aligned(rows):
            self.stdout.write(line)
        self.stdout.write("")
        styles = {Level.OK: self.style.SUCCESS, Level.WARNING: self.style.WARNING, Level.CRITICAL: self.style.ERROR}
        shown = [finding for finding in seen.findings if everything or finding.level or finding.what == "rescan"]
        for finding in shown:
            self.stdout.write(styles[finding.level](f"{finding.level.word:<8}  {for_terminal(finding.sentence)}"))


def _row(consumer: ConsumerMeasurements) -> tuple[str, ...]:
    held = [
        *(["paused"] if consumer.paused_for is not None else []),
        *(["breaker open"] if consumer.breaker_open else []),
        *([] if consumer.in_code else ["not in the code"]),
        *([f"keys held: {consumer.held_keys}"] if consumer.held else []),
    ]
    return (
        consumer.name,
        _describe_count(consumer.pending),
        _describe_count(consumer.started),
        in_words(consumer.oldest) if consumer.oldest is not None else "-",
        _describe_count(consumer.exhausted),
        ", ".join(held) or "-",
    )


def _places(consumer: ConsumerMeasurements) -> str:
    """Return how many calls are under way at once, of how many that may be."""
    return f"{consumer.taken} of {consumer.places}" if consumer.places else "-"


def _describe_count(number: int) -> str:
    return f"> {CAP - 1}" if number >= CAP else str(number)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Return the rows as lines whose columns stand below each other; numbers are on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if cell and not cell[0].isdigit() else cell.rjust(width)
            for cell, width in zip(row, widths, strict=True)
        ]
        yield "  ".join(cells).rstrip()
