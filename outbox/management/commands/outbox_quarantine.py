"""``manage.py outbox_quarantine``: see what could not be taken in, take it in after a mend, or discard it."""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox.errors import OperatorError
from outbox.external.ingest.acts import discard_quarantined, take_in_again
from outbox.management.acting import OperatorCommand, for_terminal, who_and_why
from outbox.models import Quarantined, QuarantineReason, QuarantineState

LISTED = 200


class Command(OperatorCommand):
    """Lists what is quarantined, takes it in, discards it; both acts are in the audit."""

    help = "List what could not be taken in, take it in after a mend, or discard it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the act, and what it needs."""
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        listing = acts.add_parser("list", help="list what waits for a person, the newest first")
        listing.add_argument("--source", default="", help="of this source alone")
        listing.add_argument("--json", action="store_true", help="one JSON object a line")
        take = acts.add_parser("take", help="take in what was mended")
        take.add_argument("--as-new", action="store_true", help="under an id of its own")
        discard = acts.add_parser("discard", help="say that nobody is to act on it")
        for act in (take, discard):
            act.add_argument("ids", nargs="*", type=int, metavar="ID", help="as the list shows it")
            act.add_argument("--reason", required=True, help="why; the audit keeps it")
            act.add_argument("--actor", required=True, help="who; the audit keeps it")
            act.add_argument("--all-of", default="", metavar="SOURCE", help="all that waits of this source")
            act.add_argument("--because", choices=QuarantineReason.values, help="with --all-of: for this cause alone")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what was asked; the exit status is 1 if one was refused."""
        if options["act"] == "list":
            self._list(options)
            return
        ids, refused = _chosen(options), 0
        for id in ids:
            try:
                if options["act"] == "take":
                    take_in_again(id, as_new=options["as_new"], **who_and_why(options))
                else:
                    discard_quarantined(id, **who_and_why(options))
            except OperatorError as refusal:
                refused += 1
                self.stderr.write(f"{id}: {for_terminal(refusal)}")
            else:
                self.stdout.write(f"{id}: {'taken in' if options['act'] == 'take' else 'discarded'}")
        if refused:
            raise CommandError(f"{refused} of {len(ids)} refused")

    def _list(self, options: dict[str, Any]) -> None:
        rows = Quarantined.objects.open().defer("body", "properties", "headers").order_by("-pk")
        rows = rows.filter(source=options["source"]) if options["source"] else rows
        for row in rows[:LISTED]:
            if options["json"]:
                self.stdout.write(json.dumps(_as_json(row), ensure_ascii=False))
            else:
                said = f": {for_terminal(row.error)}" if row.error else ""
                self.stdout.write(f"{row.pk}  {row.source}  {for_terminal(row.sender_id) or '–'}  {row.reason}{said}")


def _chosen(options: dict[str, Any]) -> list[int]:
    """Return the ids that were given, or those of a source, the oldest first."""
    if bool(options["ids"]) == bool(options["all_of"]):
        raise CommandError("Name messages by their ids, or a source by --all-of.")
    if options["ids"]:
        return list(dict.fromkeys(options["ids"]))
    rows = Quarantined.objects.filter(state=QuarantineState.OPEN, source=options["all_of"]).order_by("pk")
    rows = rows.filter(reason=options["because"]) if options["because"] else rows
    return list(rows.values_list("pk", flat=True))


def _as_json(row: Quarantined) -> dict[str, Any]:
    names = ("id", "source", "queue", "reason", "error", "sender_id", "topic", "size", "times")
    return {**{name: getattr(row, name) for name in names}, "at": row.at.isoformat()}
