"""``manage.py outbox_resume``: let a paused consumer go on, from the shell."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox import operate
from outbox.errors import OperatorError
from outbox.management.acting import OperatorCommand, for_terminal, who_and_why
from outbox.models import ConsumerState


class Command(OperatorCommand):
    """Resumes a consumer."""

    help = "Resume a paused consumer: what has waited is sent within a second. The act is written to the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name, and who wants it and why."""
        parser.add_argument("name", metavar="NAME", help="the consumer's name, as the desk shows it")
        parser.add_argument("--reason", required=True, help="why; the audit keeps it")
        parser.add_argument("--actor", required=True, help="who; the audit keeps it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Resume it."""
        name = options["name"]
        seen = ConsumerState.objects.paused().filter(pk=name).values_list("paused_at", flat=True).first()
        try:
            operate.resume(name, seen=seen, **who_and_why(options))
        except OperatorError as refusal:
            raise CommandError(f"{name}: {for_terminal(refusal)}") from refusal
        self.stdout.write(f"{name}: resumed")
