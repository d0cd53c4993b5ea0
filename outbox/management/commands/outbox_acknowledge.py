"""``manage.py outbox_acknowledge``: say that a double issue is known, from the shell."""

from collections.abc import Mapping
from typing import Any

from outbox import operate
from outbox.management.acting import ActingCommand
from outbox.models import Message


class Command(ActingCommand):
    """Acknowledges that messages were issued twice, and says what became of each."""

    help = "Acknowledge that messages were issued by hand and by the machine as well; no alarm speaks of them any more."
    done = "acknowledged"

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:  # noqa: ARG002  # takes none
        """Acknowledge one."""
        return operate.acknowledge(message_id, **common)
