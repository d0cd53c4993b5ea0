"""``manage.py outbox_withdraw``: take back messages that wait, from the shell."""

from collections.abc import Mapping
from typing import Any

from outbox import operate
from outbox.management.acting import ActingCommand
from outbox.models import Message


class Command(ActingCommand):
    """Withdraws messages that wait, one by one, and says what became of each."""

    help = (
        "Withdraw messages that wait, by id or by topic and key. What a worker has, and what is over, is refused. Each "
        "act is written to the audit with the actor and the reason."
    )
    done = "withdrawn"

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:  # noqa: ARG002  # takes none
        """Withdraw one message."""
        return operate.withdraw(message_id, **common)
