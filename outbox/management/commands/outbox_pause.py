"""``manage.py outbox_pause``: hold a consumer back from the shell."""

import re
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox import operate
from outbox.errors import OperatorError
from outbox.management.acting import OperatorCommand, for_terminal, pause_that_is_on, who_and_why

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Command(OperatorCommand):
    """Pauses a consumer, for a span or until somebody resumes it."""

    help = "Pause a consumer: none of its messages is started. The act is written to the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name, and who wants it, why and for how long."""
        parser.add_argument("name", metavar="NAME", help="the consumer's name, as the desk shows it")
        parser.add_argument("--reason", required=True, help="why; the audit keeps it")
        parser.add_argument("--actor", required=True, help="who; the audit keeps it")
        parser.add_argument("--unless-paused", action="store_true", help="leave a pause that is on as it is, and fail")
        parser.add_argument("--for", dest="span", default="", help="how long: 30s, 15m, 2h, 1d; else until resumed")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Pause it; a pause that is on is replaced, unless it is to be left."""
        name = options["name"]
        seen, by = pause_that_is_on(name)
        if options["unless_paused"] and seen is not None:
            raise CommandError(f"{name}: is paused already, by {for_terminal(by)}")
        try:
            state = operate.pause(
                name,
                seen=seen,
                lasting=_parse_span(options["span"]),
                **who_and_why(options),
            )
        except OperatorError as refusal:
            raise CommandError(f"{name}: {for_terminal(refusal)}") from refusal
        until = f"until {state.paused_until:%Y-%m-%d %H:%M:%S} UTC" if state.paused_until else "until it is resumed"
        self.stdout.write(f"{name}: paused {until}")


def _parse_span(text: str) -> timedelta | None:
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise CommandError(f"--for {text}: a number and a unit, as in 30s, 15m, 2h, 1d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})
