"""``manage.py outbox_replay``: have a consumer do once more what is over; a few messages, or a span of a topic."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from outbox import operate
from outbox.errors import OperatorError
from outbox.management.acting import ActingCommand, for_terminal, who_and_why
from outbox.models import Message
from outbox.operate.replays import Span, count_span


class Command(ActingCommand):
    """Replays messages by id or by topic and key; with ``--from`` and ``--to`` what a topic had in that time."""

    help = (
        "Write new messages of events that are over: by id, by topic and key, or of all events of --topic that were "
        "published from --from on and before --to, to --consumer. Without --yes it counts and changes nothing. A span "
        "that was stopped goes on when the same command is run again. Each act is written to the audit."
    )
    done = "replayed"

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the messages or the span, the consumer, the idempotency key, and whether to act."""
        super().add_arguments(parser)
        parser.add_argument("--consumer", default="", metavar="NAME", help="to whom; by default each message's own")
        parser.add_argument("--from", dest="since", default="", metavar="TIME", help="2026-11-29 or 2026-11-29T08:00")
        parser.add_argument("--to", dest="until", default="", metavar="TIME", help="the end, which is not part of it")
        parser.add_argument(
            "--same-key",
            action="store_true",
            help="with the old idempotency key: others take it for the order they have; else for a new one",
        )
        parser.add_argument("--dry-run", action="store_true", help="count and change nothing, as without --yes")
        parser.add_argument("--yes", action="store_true", help="do it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Replay what was named, or say what that would be."""
        self._consumer, self._same_key = options["consumer"], options["same_key"]
        acts = options["yes"] and not options["dry_run"]
        if options["since"] or options["until"]:
            self._replay_span(options, acts=acts)
        elif acts:
            self.act_on_each(options)
        else:
            raise CommandError("Each message would be written once more. Do it with --yes.")

    def act(self, message_id: int, *, options: Mapping[str, Any], **common: Any) -> Message:  # noqa: ARG002  # takes none
        """Replay one message."""
        return operate.replay(message_id, consumer=self._consumer, same_key=self._same_key, **common)

    def say(self, message: Message) -> str:
        """Return which message was written, and whether anybody takes it up."""
        held_back = operate.why_held_back(message.consumer)
        return f"replayed as message {message.pk} ({message.consumer}) {held_back}".strip()

    def _replay_span(self, options: dict[str, Any], *, acts: bool) -> None:
        if options["ids"] or options["key"] or not (options["topic"] and self._consumer):
            raise CommandError("A span takes --topic, --from, --to and --consumer, and no messages.")
        since, until = _parse_time("--from", options["since"]), _parse_time("--to", options["until"])
        span = Span(topic=options["topic"], consumer=self._consumer, since=since, until=until)
        try:
            count = count_span(span)
            answer: dict[str, Any] = {"topic": span.topic, "consumer": span.consumer, "since": since.isoformat()}
            answer |= {"until": until.isoformat(), "to_write": count.to_write, "left_out": count.left_out, "written": 0}
            if acts:
                chunks = operate.replay_span(span, same_key=self._same_key, **who_and_why(options))
                for written in chunks:
                    answer["written"] += written
        except OperatorError as refusal:
            raise CommandError(f"{span.topic}: {for_terminal(refusal)}") from refusal
        if options["json"]:
            self.write_json(answer)
            return
        text = "{topic} → {consumer}, {since} to {until}: {to_write} events to replay"
        left_out = ", {left_out} left out as their messages are not over" if count.left_out else ""
        end = ", {written} written." if acts else ". Do it with --yes."
        self.stdout.write((text + left_out + end).format(**answer))
        if acts and (held_back := operate.why_held_back(span.consumer)):
            self.stdout.write(held_back)


def _parse_time(option: str, text: str) -> datetime:
    """Return the moment; one without an offset is in the site's time zone."""
    try:
        day = parse_date(text)
        moment = datetime(day.year, day.month, day.day) if day else parse_datetime(text)  # made aware below
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{option} {text}: a day or a moment, as in 2026-11-29 or 2026-11-29T08:00+01:00")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
