"""``manage.py outbox_retry``: retry failed messages from the shell."""

from collections.abc import Mapping
from typing import Any

from outbox import operate
from outbox.management.acting import RetryingCommand
from outbox.models import Message


class Command(RetryingCommand):
    """Retries messages that have failed, one by one, and says what became of each."""

    help = "Retry failed messages by id. Each act is written to the audit with the actor and the reason."
    done = "pending again"

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:
        """Retry one."""
        return operate.retry(message_id, despite_evidence=options["despite_evidence"], **common)
