"""``manage.py outbox_erase``: erase what messages say of a person, for good."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import ngettext

from outbox import operate
from outbox.errors import OperatorError
from outbox.management.acting import OperatorCommand, for_terminal, who_and_why
from outbox.models import Message


class Command(OperatorCommand):
    """Shows which messages it would erase; with ``--yes`` erases them."""

    help = (
        "Erase payloads, errors and what people wrote about settled messages, for good. The audit's chain stays whole, "
        "and notes who has erased what. Without --yes it only shows which messages these are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the messages, and who wants it and why."""
        parser.add_argument("ids", nargs="*", type=int, metavar="ID", help="the messages, as the desk shows their ids")
        parser.add_argument("--key", action="append", default=[], help="all messages of this business id")
        parser.add_argument(
            "--subject", default="", help="whose they are, by a name that says nothing; the audit keeps it"
        )
        parser.add_argument("--reason", required=True, help="why, without the person's name; the audit keeps it")
        parser.add_argument("--actor", required=True, help="who; the audit keeps it")
        parser.add_argument("--yes", action="store_true", help="do it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Show the messages, or erase them."""
        ids = sorted({*options["ids"], *_of_keys(options["key"])})
        if not ids and not options["subject"]:
            raise CommandError("say which messages: their ids, or --key")
        if not options["yes"]:
            for message in Message.objects.filter(pk__in=ids).defer("payload", "headers").order_by("pk"):
                self.stdout.write(f"{message.pk}: {for_terminal(message)}, {message.get_status_display()}")
            self.stdout.write("Nothing was erased yet. Add --yes to erase what they say, for good.")
            return
        try:
            many = operate.erase(ids, subject=options["subject"], **who_and_why(options))
        except OperatorError as refusal:
            raise CommandError(for_terminal(refusal)) from refusal
        text = ngettext(
            "%(count)d message was erased, and what the audit said of it",
            "%(count)d messages were erased, and what the audit said of them",
            many,
        )
        self.stdout.write(self.style.SUCCESS(text % {"count": many}))


def _of_keys(keys: list[str]) -> list[int]:
    return list(Message.objects.filter(key__in=keys).values_list("pk", flat=True)) if keys else []
