"""``manage.py outbox_reopen``: take back what a person has closed, from the shell."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from outbox import operate
from outbox.management.acting import ActingCommand
from outbox.models import Message


class Command(ActingCommand):
    """Reopens messages that were handled or discarded by hand, and says what became of each."""

    help = "Reopen messages that were closed by hand, by id. The business follows back, or refuses."
    done = "failed again, waiting for a person"

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what each act takes, and whether the evidence was wrong."""
        super().add_arguments(parser)
        parser.add_argument(
            "--evidence-wrong", action="store_true", help="the evidence proves another message, or nothing"
        )

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:
        """Reopen one."""
        return operate.reopen(message_id, evidence_wrong=options["evidence_wrong"], **common)
