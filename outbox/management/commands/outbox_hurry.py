"""``manage.py outbox_hurry``: make messages due now, from the shell; a few by name, or many of a consumer."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox import operate
from outbox.errors import OperatorError
from outbox.management.acting import ActingCommand, for_terminal, who_and_why
from outbox.models import Message
from outbox.operate.hurrying import delayed_of


class Command(ActingCommand):
    """Makes messages due that wait for their own time: by id, by topic and key, or the next of a consumer."""

    help = (
        "Make messages due now that are delayed or wait between two attempts: by id, by topic and key, or with "
        "--consumer the next --most of a consumer, in small transactions. Each act is written to the audit."
    )
    done = "due now"

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the messages, or the consumer and how many."""
        super().add_arguments(parser)
        parser.add_argument("--consumer", default="", metavar="NAME", help="the messages of this consumer that wait")
        parser.add_argument("--most", type=int, metavar="N", help="with --consumer: how many at most, the next first")
        parser.add_argument("--dry-run", action="store_true", help="with --consumer: count them and change nothing")
        parser.add_argument("--yes", action="store_true", help="with --consumer: do it")

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:  # noqa: ARG002  # takes none
        """Make one message due."""
        return operate.hurry(message_id, **common)

    def say(self, message: Message) -> str:
        """Return that it is due, and whether anybody takes it up."""
        return f"{super().say(message)} {operate.why_held_back(message.consumer)}".strip()

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make due what was named."""
        if not options["consumer"]:
            self.act_on_each(options)
            return
        if options["ids"] or options["topic"] or options["key"] or options["most"] is None:
            raise CommandError("With --consumer say how many by --most, and name no messages.")
        self._hurry_many(options)

    def _hurry_many(self, options: dict[str, Any]) -> None:
        consumer, most = options["consumer"], options["most"]
        if options["dry_run"] or not options["yes"]:
            waiting = delayed_of(consumer).count()
            answer = {"consumer": consumer, "waiting": waiting, "to_hurry": max(min(waiting, most), 0), "hurried": 0}
            text = "{consumer}: {waiting} wait for their own time, {to_hurry} would be made due. Do it with --yes."
        else:
            try:
                hurried = sum(operate.hurry_many(consumer, most=most, **who_and_why(options)))
            except OperatorError as refusal:
                raise CommandError(f"{consumer}: {for_terminal(refusal)}") from refusal
            answer = {"consumer": consumer, "hurried": hurried}
            text = "{consumer}: {hurried} are due now."
        if options["json"]:
            self.write_json(answer)
        else:
            self.stdout.write(text.format(**answer))
            if held_back := operate.why_held_back(consumer):
                self.stdout.write(held_back)
