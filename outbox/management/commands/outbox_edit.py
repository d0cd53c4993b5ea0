"""``manage.py outbox_edit``: change payloads of failed messages, and try them again."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox import operate
from outbox.management.acting import RetryingCommand
from outbox.management.patching import add_patch_arguments, read_patch
from outbox.models import Message


class Command(RetryingCommand):
    """Edits and retries failed messages one by one, and says what became of each."""

    help = (
        "Change the payloads of failed messages and retry them. The old payloads are kept. Rehearse the change first: "
        "outbox_rehearse takes the same options."
    )
    done = "edited, and pending again"

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what each act takes, and the change."""
        super().add_arguments(parser)
        add_patch_arguments(parser)
        parser.add_argument(
            "--as-new-order",
            action="store_true",
            help="give it a new idempotency key: where the other side may have acted on the old payload",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Edit each of the messages that are named."""
        if not read_patch(options):
            raise CommandError("say what is to be changed: --rename, --set, --remove or --patch")
        super().handle(*args, **options)

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:
        """Edit one."""
        message = Message.objects.filter(pk=message_id).first()
        payload = None if message is None else read_patch(options)(message.payload)
        return operate.edit(
            message_id,
            payload=payload,
            as_new_order=options["as_new_order"],
            despite_evidence=options["despite_evidence"],
            **common,
        )
