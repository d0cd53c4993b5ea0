"""``manage.py outbox_retry``: retry failed messages from the shell."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from outbox import operate
from outbox.management.acting import ActingCommand
from outbox.models import Message


class Command(ActingCommand):
    """Retries messages that have failed, one by one, and says what became of each."""

    help = "Retry failed messages by id. Each act is written to the audit with the actor and the reason."
    done = "pending again"

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what each act takes, and whether evidence is known."""
        super().add_arguments(parser)
        parser.add_argument(
            "--despite-evidence",
            action="store_true",
            help="you know of evidence that it was issued already; it may be issued a second time",
        )

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:
        """Retry one."""
        return operate.retry(message_id, despite_evidence=options["despite_evidence"], **common)

    def say(self, message: Message) -> str:
        """Return that it is pending, and whether anybody takes it up."""
        held_back = operate.why_held_back(message.consumer)
        return f"{super().say(message)}{f'. {held_back}' if held_back else ''}"
