"""``manage.py outbox_rehearse``: would they succeed now? Calls failed messages and rolls back."""

import getpass
import json
import sys
from collections.abc import Iterator
from functools import partial
from time import monotonic
from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox.bulk import selection
from outbox.errors import NotRehearsable, OperatorError
from outbox.management.acting import OperatorCommand, for_terminal, lines_for_terminal, origin_of_command
from outbox.management.patching import add_patch_arguments, read_patch
from outbox.models import Message
from outbox.rehearsal import noted
from outbox.rehearsal.results import Outcome, Result, Summary

TITLES = {
    Outcome.SUCCESS: "would succeed",
    Outcome.FAILED: "would fail",
    Outcome.PUT_OFF: "would be put off",
    Outcome.BUSY: "are busy",
    Outcome.GONE: "are settled or removed",
    Outcome.REFUSED: "cannot be rehearsed",
}
EVERY = 0.5
"""Seconds between two lines of progress."""


class Command(OperatorCommand):
    """Rehearses failed messages of one consumer, and says what a retry would come to."""

    help = (
        "Call failed messages by today's code and roll back: what would a retry come to? Each message by itself, "
        "against today's data. The exit status is 1 if one would not succeed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take which messages, a change of their payloads, and the form of the answer."""
        parser.add_argument("ids", nargs="*", type=int, metavar="ID", help="the messages, as the desk shows their ids")
        parser.add_argument("--consumer", help="all failed messages of this consumer")
        parser.add_argument(
            "--group",
            help="what is stuck for this failure group, merged ones included: the beginning of its digest",
        )
        parser.add_argument("--limit", type=int, default=10_000, help="so many at most (default: %(default)s)")
        add_patch_arguments(parser)
        parser.add_argument(
            "--together", action="store_true", help="one chunk in one transaction: what they take from each other"
        )
        parser.add_argument("--actor", default=getpass.getuser(), help="who; the audit keeps it (default: %(default)s)")
        parser.add_argument("--json", action="store_true", help="the results as one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Rehearse and print the results."""
        try:
            consumer, ids = _chosen(options)
            patch = read_patch(options)
            summary = noted.rehearse(
                consumer,
                ids,
                subject=_subject(consumer, ids),
                message_id=ids[0] if len(ids) == 1 else None,
                actor=options["actor"],
                origin=origin_of_command(),
                patch=patch,
                together=options["together"],
                watched=partial(self._with_progress, many=len(ids)),
            )
        except (NotRehearsable, OperatorError) as error:
            raise CommandError(lines_for_terminal(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"consumer": consumer, **summary.as_json()}, ensure_ascii=False, indent=2))
        else:
            self._print(summary)
        if summary.counts[Outcome.SUCCESS] < summary.total:
            sys.exit(1)

    def _with_progress(self, results: Iterator[Result], *, many: int) -> Iterator[Result]:
        shown_at = monotonic()
        for number, result in enumerate(results, start=1):
            yield result
            if sys.stderr.isatty() and (monotonic() - shown_at > EVERY or number == many):
                shown_at = monotonic()
                self.stderr.write(f"\r{number:,} of {many:,}", ending="" if number < many else "\n")

    def _print(self, summary: Summary) -> None:
        for outcome, many in summary.counts.most_common():
            self.stdout.write(f"{many:>9,}  {TITLES[outcome]}")
        for group in summary.groups:
            ids = ", ".join(map(str, group.ids)) + (", …" if group.count > len(group.ids) else "")
            said = for_terminal(group.title or group.error)
            self.stdout.write(f"{group.count:>9,}  {TITLES[group.outcome]}: {said} ({ids})")
        if summary.together is not None:
            well, many = summary.together
            self.stdout.write(f"Together, one after the other, {well:,} of {many:,} would succeed.")


def _chosen(options: dict[str, Any]) -> tuple[str, list[int]]:
    """Return the consumer and the ids of the messages that are asked for; they must be one consumer's."""
    if options["limit"] < 1:
        raise CommandError("--limit is 1 or more")
    if options["group"]:
        rows = selection.of_group(options["group"]).messages
    elif options["ids"]:
        rows = Message.objects.all()
    elif options["consumer"]:
        rows = Message.objects.exhausted()
    else:
        raise CommandError("say which messages: their ids, --consumer or --group")
    if options["ids"]:
        rows = rows.filter(pk__in=options["ids"])
    if options["consumer"]:
        rows = rows.filter(consumer=options["consumer"])
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[: options["limit"]])
    consumers = sorted(set(rows.filter(pk__in=ids).values_list("consumer", flat=True)))
    if not ids:
        raise CommandError("there is no such message that has failed")
    if len(consumers) > 1:
        raise CommandError(f"these are messages of several consumers ({', '.join(consumers)}); add --consumer")
    return consumers[0], ids


def _subject(consumer: str, ids: list[int]) -> str:
    """Return the name under which the audit knows what was rehearsed."""
    if len(ids) > 1:
        return f"{len(ids)} messages of {consumer}"
    return str(Message.objects.get(pk=ids[0]))
