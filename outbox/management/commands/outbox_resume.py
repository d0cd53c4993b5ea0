"""``manage.py outbox_resume``: let a paused consumer go on, from the shell."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox import operate
from outbox.errors import OperatorError
from outbox.management.acting import OperatorCommand, for_terminal, pause_that_is_on, who_and_why


class Command(OperatorCommand):
    """Resumes a consumer."""

    help = "Resume a paused consumer: what has waited is sent within a second. The act is written to the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name, and who wants it and why."""
        parser.add_argument("name", metavar="NAME", help="the consumer's name, as the desk shows it")
        parser.add_argument("--reason", required=True, help="why; the audit keeps it")
        parser.add_argument("--actor", required=True, help="who; the audit keeps it")
        parser.add_argument("--paused-by", default="", metavar="ACTOR", help="only if this actor has paused it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Resume it."""
        name = options["name"]
        seen, by = pause_that_is_on(name)
        if options["paused_by"] and options["paused_by"] != by:
            said = f"was paused by {for_terminal(by)}" if by else "is not paused"
            raise CommandError(f"{name}: {said}, and not by {for_terminal(options['paused_by'])}")
        try:
            operate.resume(name, seen=seen, **who_and_why(options))
        except OperatorError as refusal:
            raise CommandError(f"{name}: {for_terminal(refusal)}") from refusal
        self.stdout.write(f"{name}: resumed")
