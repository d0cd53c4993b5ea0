"""What commands that act on messages have in common: who and why, which messages, and how the answer is written."""

import getpass
import json
import socket
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import override

from outbox import operate
from outbox.errors import OperatorError
from outbox.models import ConsumerState, Message
from outbox.operate.text_checks import write_out


class OperatorCommand(BaseCommand):
    """Speaks English, whatever the project's language is: why it was refused stands in the audit for all to read."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Do it in English."""
        with override("en"):
            return super().execute(*args, **options)


class ActingCommand(OperatorCommand):
    """Acts on messages one by one, named by id, or by topic and key, and says what became of each."""

    done = ""
    """What has become of a message, in a word or two."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take which messages, and who wants it and why."""
        parser.add_argument("ids", nargs="*", type=int, metavar="ID", help="the message's id, as the desk shows it")
        parser.add_argument("--topic", default="", help="with --key: the messages of this event, to every consumer")
        parser.add_argument("--key", default="", help="the business id under which the event was published")
        parser.add_argument("--reason", required=True, help="why; the audit keeps it")
        parser.add_argument("--actor", required=True, help="who; the audit keeps it")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:
        """Act on one message; ``common`` has the revision, the actor, the reason and the origin."""
        raise NotImplementedError

    def handle(self, *_args: Any, **options: Any) -> None:
        """Act on each of the messages that are named."""
        self.act_on_each(options)

    def describe(self, message: Message) -> dict[str, Any]:
        """Return what JSON says of a message after the act."""
        return {"id": message.pk, "consumer": message.consumer, "answer": self.done}

    def act_on_each(self, options: Mapping[str, Any]) -> None:
        """Act on each of the messages; ends with exit status 1 if one of them was refused."""
        ids, refused = chosen_ids(options), 0
        for message_id in ids:
            revision = Message.objects.filter(pk=message_id).values_list("revision", flat=True).first() or 0
            try:
                message = self.act(message_id, options=options, revision=revision, **who_and_why(options))
            except OperatorError as refusal:
                refused += 1
                if options["json"]:
                    self.write_json({"id": message_id, "answer": "refused", "because": str(refusal)})
                else:
                    self.stderr.write(f"{message_id}: {for_terminal(refusal)}")
            else:
                if options["json"]:
                    self.write_json(self.describe(message))
                else:
                    self.stdout.write(f"{message_id}: {self.say(message)}")
        if refused:
            raise CommandError(f"{refused} of {len(ids)} refused")

    def say(self, message: Message) -> str:
        """Return what has become of a message, in words."""
        return f"{self.done} ({message.consumer})"

    def write_json(self, answer: Mapping[str, Any]) -> None:
        """Write one line of JSON."""
        self.stdout.write(json.dumps(answer, ensure_ascii=False))


class RetryingCommand(ActingCommand):
    """Acts on messages so that they are tried again: it asks about evidence, and says whether anybody takes them up."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what each act takes, and whether evidence is known."""
        super().add_arguments(parser)
        parser.add_argument(
            "--despite-evidence",
            action="store_true",
            help="you know of evidence that it was issued already; it may be issued a second time",
        )

    def say(self, message: Message) -> str:
        """Return that it is pending, and whether anybody takes it up."""
        held_back = operate.why_held_back(message.consumer)
        return f"{super().say(message)}{f'. {held_back}' if held_back else ''}"


def who_and_why(options: Mapping[str, Any]) -> dict[str, str]:
    """Return actor and reason as given, and from where the command was run."""
    return {"actor": options["actor"], "reason": options["reason"], "origin": origin_of_command()}


def pause_that_is_on(name: str) -> tuple[datetime | None, str]:
    """Return since when a consumer is paused and by whom; None and "" if it goes on."""
    paused = ConsumerState.objects.paused().filter(pk=name).values_list("paused_at", "paused_by").first()
    return paused or (None, "")


def for_terminal(text: object) -> str:
    """Return what others have said as one line of a terminal, which shows it and does not obey it."""
    return write_out(" ".join(str(text).split()))


def lines_for_terminal(text: object) -> str:
    """Return the same with its lines kept."""
    return write_out(str(text), but="\n")


def origin_of_command() -> str:
    """Return from where a command is run, as the audit keeps it: the system's user and the host."""
    return f"command ({getpass.getuser()}@{socket.gethostname()})"


def chosen_ids(options: Mapping[str, Any]) -> list[int]:
    """Return the ids that were given, or those of the event. Raises ``CommandError`` for neither, both or none."""
    ids: list[int] = options["ids"]
    topic, key = options["topic"], options["key"]
    if bool(ids) == bool(topic or key) or bool(topic) != bool(key):
        raise CommandError("Name messages by their ids, or one event by --topic and --key.")
    if ids:
        return list(dict.fromkeys(ids))
    found = list(Message.objects.filter(key=key, topic=topic).order_by("pk").values_list("pk", flat=True))
    if not found:
        raise CommandError(f"{topic} {key}: no message of this event is there")
    return found
