"""``manage.py outbox_handle``: mark a failed message as handled from the shell."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from outbox import operate
from outbox.management.acting import ActingCommand
from outbox.models import EvidenceKind, HandledAs, Message


class Command(ActingCommand):
    """Marks messages as handled, with what proves it, and says what became of each."""

    help = "Mark failed messages as handled by id. The business follows in the same step, or refuses."
    done = "handled"

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what each act takes, the outcome, and what proves it."""
        super().add_arguments(parser)
        parser.add_argument("--outcome", required=True, choices=HandledAs.values, help="how the matter was settled")
        parser.add_argument("--evidence", required=True, help="what proves it; the audit keeps a seal of it")
        parser.add_argument(
            "--kind", default=EvidenceKind.ORDER.value, choices=EvidenceKind.values, help="what the evidence is"
        )

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:
        """Mark one as handled."""
        return operate.mark_handled(
            message_id,
            outcome=HandledAs(options["outcome"]),
            evidence=options["evidence"],
            kind=EvidenceKind(options["kind"]),
            **common,
        )
