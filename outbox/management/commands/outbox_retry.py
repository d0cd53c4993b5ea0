"""``manage.py outbox_retry``: retry failed messages from the shell."""

import getpass
import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from outbox import operate
from outbox.errors import OperatorError
from outbox.models import Message


class Command(BaseCommand):
    """Retries messages that have failed, one by one, and says what became of each."""

    help = "Retry failed messages by id. Each act is written to the audit with the actor and the reason."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the ids, and who wants it and why."""
        parser.add_argument("ids", nargs="+", type=int, metavar="ID", help="the message's id, as the desk shows it")
        parser.add_argument("--reason", required=True, help="why; the audit keeps it")
        parser.add_argument("--actor", required=True, help="who; the audit keeps it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Retry each of the messages; the exit status is 1 if one of them was refused."""
        origin = f"command ({getpass.getuser()}@{socket.gethostname()})"
        refused = 0
        for message_id in options["ids"]:
            try:
                revision = Message.objects.filter(pk=message_id).values_list("revision", flat=True).first() or 0
                message = operate.retry(
                    message_id, revision=revision, actor=options["actor"], reason=options["reason"], origin=origin
                )
            except OperatorError as refusal:
                refused += 1
                self.stderr.write(f"{message_id}: {refusal}")
            else:
                held_back = operate.why_held_back(message.consumer)
                self.stdout.write(f"{message_id}: pending again" + (f". {held_back}" if held_back else ""))
        if refused:
            raise CommandError(f"{refused} of {len(options['ids'])} refused")
