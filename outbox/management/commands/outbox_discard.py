"""``manage.py outbox_discard``: discard failed messages from the shell."""

from collections.abc import Mapping
from typing import Any

from outbox import operate
from outbox.management.acting import ActingCommand
from outbox.models import Message


class Command(ActingCommand):
    """Discards messages that have failed, one by one, and says what became of each."""

    help = "Discard failed messages by id: nobody gets what was promised. The business follows, or refuses."
    done = "discarded"

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:  # noqa: ARG002  # takes none
        """Discard one."""
        return operate.discard(message_id, **common)
