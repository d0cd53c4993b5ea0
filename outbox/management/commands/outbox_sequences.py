"""``manage.py outbox_sequences``: what has become of a number that we have given, and a new epoch."""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox.errors import OperatorError
from outbox.external.sequences.acts import begin_epoch
from outbox.external.sequences.explaining import Explained, explain
from outbox.management.acting import OperatorCommand, for_terminal, who_and_why
from outbox.models import SequenceStream


class Command(OperatorCommand):
    """Lists the numbered streams, explains numbers, begins a new epoch; that one is in the audit."""

    help = "List numbered streams, say what has become of a number, or begin a new epoch."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the act, and what it needs."""
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        acts.add_parser("list", help="list the streams")
        told = acts.add_parser("explain", help="say what has become of numbers")
        told.add_argument("stream", help="the stream, as its receivers name it: forward/routing.key")
        told.add_argument("numbers", nargs="+", type=int, metavar="NUMBER")
        told.add_argument("--epoch", default="", help="of this epoch alone")
        told.add_argument("--json", action="store_true", help="one JSON object a line")
        anew = acts.add_parser("new-epoch", help="after the database was put back to an earlier state")
        anew.add_argument("forward", help="the forward whose numbers begin anew")
        anew.add_argument("--reason", required=True, help="why; the audit keeps it")
        anew.add_argument("--actor", required=True, help="who; the audit keeps it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what was asked."""
        match options["act"]:
            case "list":
                self._list()
            case "explain":
                self._explain(options)
            case _:
                self._begin_anew(options)

    def _list(self) -> None:
        for stream in SequenceStream.objects.order_by("forward", "routing_key", "pk"):
            state = "goes on" if stream.is_current else "ended"
            said = f"last heartbeat {stream.said_at.isoformat()}" if stream.said_at else "no heartbeat yet"
            wrong = f", not sent: {for_terminal(stream.error)}" if stream.error else ""
            self.stdout.write(
                f"{for_terminal(stream.name)}  epoch {stream.epoch}  {state}  up to {stream.given}  {said}{wrong}"
            )

    def _explain(self, options: dict[str, Any]) -> None:
        for number in options["numbers"]:
            found = explain(options["stream"], number, epoch=options["epoch"])
            if not found:
                raise CommandError(f"There is no stream {for_terminal(options['stream'])}; see outbox_sequences list")
            for each in found:
                if options["json"]:
                    self.stdout.write(json.dumps(_as_json(each), ensure_ascii=False))
                else:
                    epoch = "" if each.stream.is_current else f" (epoch {each.stream.epoch})"
                    self.stdout.write(f"{number}{epoch}: {each.word}: {for_terminal(each.sentence)}")

    def _begin_anew(self, options: dict[str, Any]) -> None:
        try:
            many = begin_epoch(options["forward"], **who_and_why(options))
        except OperatorError as refusal:
            raise CommandError(for_terminal(refusal)) from refusal
        self.stdout.write(f"{many} {'stream begins' if many == 1 else 'streams begin'} anew")


def _as_json(each: Explained) -> dict[str, Any]:
    return {
        "stream": each.stream.name,
        "epoch": each.stream.epoch,
        "number": each.number,
        "answer": each.word,
        "message": None if each.message is None else each.message.pk,
        "sentence": each.sentence,
    }
