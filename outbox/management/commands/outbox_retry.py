"""``manage.py outbox_retry``: retry failed messages from the shell."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from outbox import operate
from outbox.management.acting import RetryingCommand
from outbox.models import Message


class Command(RetryingCommand):
    """Retries messages that have failed, one by one, and says what became of each."""

    help = "Retry failed messages by id. Each act is written to the audit with the actor and the reason."
    done = "pending again"

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether the other side was asked, beside what each retry takes."""
        super().add_arguments(parser)
        parser.add_argument(
            "--asked-other-side",
            action="store_true",
            help="where the other side may have acted: you have asked it (outbox_ask), and it has not",
        )

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:
        """Retry one."""
        confirmed = {name: options[name] for name in ("asked_other_side", "despite_evidence")}
        return operate.retry(message_id, **confirmed, **common)
