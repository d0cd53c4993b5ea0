"""``manage.py outbox_half``: list half messages, and decide about one from the shell."""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox.errors import OperatorError
from outbox.external.halves import deciding
from outbox.management.acting import OperatorCommand, for_terminal, who_and_why
from outbox.models import Half, HalfState
from outbox.models.half import UNSETTLED

LISTED = 200
ACTS = {
    "publish": (deciding.publish_by_hand, "the write was done: publish the message", "published"),
    "take-back": (deciding.take_back_by_hand, "the write was not done and never will be", "taken back"),
    "ask": (deciding.ask_again, "have the check asked now, with a fresh set of questions", "asked now"),
}


class Command(OperatorCommand):
    """Lists half messages, publishes one, takes one back, or has its check asked; each act is in the audit."""

    help = "List half messages, publish one, take one back, or have its check asked again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the act, and what it needs."""
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        listing = acts.add_parser("list", help="list those that are not settled, or those of one state")
        listing.add_argument("--state", choices=HalfState.values, help="those of this state")
        listing.add_argument("--json", action="store_true", help="one JSON object a line")
        for name, (_function, text, _done) in ACTS.items():
            act = acts.add_parser(name, help=text)
            act.add_argument("id", type=int, metavar="ID", help="its id, as the list and the desk show it")
            act.add_argument("--reason", required=True, help="why; the audit keeps it")
            act.add_argument("--actor", required=True, help="who; the audit keeps it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what was asked; the exit status is 1 if it was refused."""
        if options["act"] == "list":
            self._list(options["state"], as_json=options["json"])
            return
        function, _text, done = ACTS[options["act"]]
        half_id = options["id"]
        revision = Half.objects.filter(pk=half_id).values_list("revision", flat=True).first() or 0
        try:
            half = function(half_id, revision=revision, **who_and_why(options))
        except OperatorError as refusal:
            raise CommandError(f"{half_id}: {for_terminal(refusal)}") from refusal
        self.stdout.write(f"{half_id}: {done} ({for_terminal(half.topic)} {for_terminal(half.key)})")

    def _list(self, state: str | None, *, as_json: bool) -> None:
        chosen = [state] if state else UNSETTLED
        for half in Half.objects.filter(state__in=chosen).order_by("-pk")[:LISTED]:
            if as_json:
                self.stdout.write(json.dumps(_as_json(half), ensure_ascii=False))
            else:
                self.stdout.write(
                    f"{half.pk}  {half.state}, prepared {half.prepared_at:%Y-%m-%d %H:%M}, asked {half.asked} times  "
                    f"{for_terminal(half.topic)} {for_terminal(half.key)} ({half.check_name})"
                )


def _as_json(half: Half) -> dict[str, Any]:
    moments = {name: getattr(half, name) for name in ("prepared_at", "check_at", "settled_at")}
    return {
        **{name: getattr(half, name) for name in ("topic", "key", "state", "asked", "settled_by")},
        "id": half.pk,
        "check": half.check_name,
        "write_id": str(half.write_id),
        **{name: None if at is None else at.isoformat() for name, at in moments.items()},
    }
