"""``manage.py outbox_gaps``: see which numbers of a source are missing, and close what a person has seen to."""

import json
import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox.errors import OperatorError
from outbox.external.sequences.acts import close_gap, forget_stream
from outbox.management.acting import OperatorCommand, for_terminal, who_and_why
from outbox.models import Gap, WatchedStream

LISTED = 1_000


class Command(OperatorCommand):
    """Lists gaps and watched streams, closes gaps, forgets streams; the acts are in the audit."""

    help = "List the numbers of senders that are missing, and close what a person has seen to."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the act, and what it needs."""
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        listing = acts.add_parser("list", help="list the open gaps; exit status 1 if there is one")
        streams = acts.add_parser("streams", help="list the streams that are watched")
        for each in (listing, streams):
            each.add_argument("--source", default="", help="of this source alone")
            each.add_argument("--json", action="store_true", help="one JSON object a line")
        close = acts.add_parser("close", help="say that you have seen to what is missing")
        close.add_argument("ids", nargs="+", type=int, metavar="ID", help="as the list shows it")
        forget = acts.add_parser("forget", help="watch a stream no more that its sender has ended")
        forget.add_argument("--source", required=True, help="whose stream it is")
        forget.add_argument("--stream", required=True, help="its name, as “streams” shows it")
        for each in (close, forget):
            each.add_argument("--reason", required=True, help="why; the audit keeps it")
            each.add_argument("--actor", required=True, help="who; the audit keeps it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what was asked."""
        match options["act"]:
            case "list":
                self._list(options)
            case "streams":
                self._list_streams(options)
            case "close":
                self._close(options)
            case _:
                self._forget(options)

    def _list(self, options: dict[str, Any]) -> None:
        rows = Gap.objects.open().select_related("watched").order_by("pk")
        rows = rows.filter(watched__source=options["source"]) if options["source"] else rows
        found = list(rows[:LISTED])
        for gap in found:
            if options["json"]:
                self.stdout.write(json.dumps(_as_json(gap), ensure_ascii=False))
            else:
                stream = for_terminal(gap.watched.stream)
                self.stdout.write(f"{gap.pk}  {gap.watched.source}  {stream}#{gap.numbers}  {gap.get_said_display()}")
        if found:
            sys.exit(1)

    def _list_streams(self, options: dict[str, Any]) -> None:
        rows = WatchedStream.objects.order_by("source", "stream", "pk")
        rows = rows.filter(source=options["source"]) if options["source"] else rows
        for row in rows:
            beat = row.beat_at.isoformat() if row.beat_at else None
            if options["json"]:
                facts = {"source": row.source, "stream": row.stream, "epoch": row.epoch, "high": row.high, "beat": beat}
                self.stdout.write(json.dumps(facts, ensure_ascii=False))
            else:
                stream = for_terminal(row.stream)
                said = f"last heartbeat {beat}" if beat else "no heartbeat yet"
                self.stdout.write(f"{row.source}  {stream}  epoch {for_terminal(row.epoch)}  up to {row.high}  {said}")

    def _close(self, options: dict[str, Any]) -> None:
        refused = 0
        for id in options["ids"]:
            try:
                close_gap(id, **who_and_why(options))
            except OperatorError as refusal:
                refused += 1
                self.stderr.write(f"{id}: {for_terminal(refusal)}")
            else:
                self.stdout.write(f"{id}: closed")
        if refused:
            raise CommandError(f"{refused} of {len(options['ids'])} refused")

    def _forget(self, options: dict[str, Any]) -> None:
        try:
            forget_stream(options["source"], options["stream"], **who_and_why(options))
        except OperatorError as refusal:
            raise CommandError(for_terminal(refusal)) from refusal
        self.stdout.write("forgotten")


def _as_json(gap: Gap) -> dict[str, Any]:
    return {
        "id": gap.pk,
        "source": gap.watched.source,
        "stream": gap.watched.stream,
        "epoch": gap.watched.epoch,
        "first": gap.first,
        "last": gap.last,
        "said": gap.said,
        "at": gap.at.isoformat(),
    }
