"""``manage.py outbox_ask``: what does the other side know of these messages?"""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox import operate
from outbox.errors import OperatorError
from outbox.management.acting import OperatorCommand, chosen_ids, for_terminal, origin_of_command
from outbox.operate.asking import Answer, Known

WORDS = {
    Known.YES: "it has {said}",
    Known.NO: "it knows nothing of it",
    Known.NOT_ASKED: "could not be asked: {said}",
}


class Command(OperatorCommand):
    """Asks the other side about messages, by the question of their consumer; nothing is changed."""

    help = (
        "Ask the other side what it knows of messages, by the question that their consumer has given (ask=). Nothing "
        "is changed. The exit status is 1 if one could not be asked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take which messages, and who asks."""
        parser.add_argument("ids", nargs="*", type=int, metavar="ID", help="the message's id, as the desk shows it")
        parser.add_argument("--topic", default="", help="with --key: the messages of this event, to every consumer")
        parser.add_argument("--key", default="", help="the business id under which the event was published")
        parser.add_argument("--actor", required=True, help="who; the audit keeps it")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Ask about each of them."""
        ids, failed = chosen_ids(options), 0
        for id in ids:
            try:
                answer = operate.ask(id, actor=options["actor"], origin=origin_of_command())
            except OperatorError as refusal:
                answer = Answer(Known.NOT_ASKED, str(refusal))
            failed += answer.known is Known.NOT_ASKED
            if options["json"]:
                said = {"id": id, "known": answer.known.value, "said": answer.said}
                self.stdout.write(json.dumps(said, ensure_ascii=False))
            else:
                self.stdout.write(f"{id}: {WORDS[answer.known].format(said=for_terminal(answer.said))}")
        if failed:
            raise CommandError(f"{failed} of {len(ids)} could not be asked")
