"""``manage.py outbox_bulk``: act on many messages at once from the shell, and watch how it gets on."""

import json
import re
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from outbox.bulk import operations, preview, progress, selection
from outbox.bulk.selection import Selection
from outbox.errors import OperatorError
from outbox.management.acting import OperatorCommand, for_terminal, origin_of_command, who_and_why
from outbox.management.patching import add_patch_arguments, read_patch
from outbox.models import BulkOperation, HandledAs
from outbox.models.bulk import ACTIVE, RETRIES, BulkState, BulkVerb
from outbox.monitoring.finding import in_words
from outbox.operate.patch import NO_PATCH

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
VERBS = {
    "retry": BulkVerb.RETRY,
    "edit": BulkVerb.EDIT,
    "handle": BulkVerb.HANDLE,
    "discard": BulkVerb.DISCARD,
    "undo": BulkVerb.REOPEN,
}
ACTS: dict[str, Callable[..., BulkOperation]] = {
    "approve": operations.approve,
    "pause": operations.pause,
    "resume": operations.resume,
    "cancel": operations.cancel,
}
WATCHED = (*ACTIVE, BulkState.WAITING, BulkState.PAUSED)
LOOK_EVERY = 0.5
BAR = 30
"""Characters of the progress bar."""
LISTED = 50


class Command(OperatorCommand):
    """Prepares and starts bulk operations, and does to them what operators do."""

    help = (
        "Act on many failed messages at once. First say what: retry, edit, handle, discard, undo; with --preview it is "
        "only counted. Then list, show, watch, approve, pause, resume, cancel."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the act, and what it needs."""
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        for name in VERBS:
            _add_verb(acts.add_parser(name, help=f"{name} a set of messages"), name)
        for name in ACTS:
            act = acts.add_parser(name, help=f"{name} an operation")
            act.add_argument("id", type=int, metavar="ID", help="the operation's id")
            _add_who(act, needed=True)
            _add_json(act)
        for name, words in {
            "show": "show an operation",
            "watch": "show how an operation gets on until it ends",
        }.items():
            act = acts.add_parser(name, help=words)
            act.add_argument("id", type=int, metavar="ID", help="the operation's id")
            _add_json(act)
        _add_json(acts.add_parser("list", help="the newest operations"))

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what was asked; the exit status is 1 if it was refused, or if what was watched stopped itself."""
        act = options["act"]
        try:
            if act in VERBS:
                self._begin(VERBS[act], options)
            elif act in ACTS:
                self._show(self._act(ACTS[act], options), options)
            elif act == "list":
                self._list(options)
            elif act == "watch":
                self._watch(_find(options["id"]), options)
            else:
                self._show(_find(options["id"]), options)
        except OperatorError as refusal:
            raise CommandError(for_terminal(refusal)) from refusal

    def _begin(self, verb: BulkVerb, options: dict[str, Any]) -> None:
        by = {"actor": options["actor"], "origin": origin_of_command()}
        patch = read_patch(options) if verb == BulkVerb.EDIT else NO_PATCH
        operation = operations.prepare(verb, _select(verb, options), patch=patch, **by)
        if options["preview"]:
            self._show(operation, options)
            return
        settings: dict[str, Any] = {}
        if verb in RETRIES:
            settings = {"canary": options["canary"], "stop_percent": options["stop"]}
        if verb == BulkVerb.RETRY:
            settings["include_suspects"] = options["include_suspects"]
        if verb == BulkVerb.HANDLE:
            settings = {"outcome": HandledAs(options["outcome"]), "evidence": options["evidence"]}
        operation = operations.start(
            operation.pk, revision=0, reason=options["reason"], rate=options["rate"], **settings, **by
        )
        if options["watch"]:
            self._watch(operation, options)
        else:
            self._show(operation, options)

    def _act(self, act: Callable[..., BulkOperation], options: dict[str, Any]) -> BulkOperation:
        found = _find(options["id"])
        return act(found.pk, revision=found.revision, **who_and_why(options))

    def _list(self, options: dict[str, Any]) -> None:
        found = BulkOperation.objects.order_by("-pk")[:LISTED]
        if options["json"]:
            self.stdout.write(json.dumps([as_json(operation) for operation in found], ensure_ascii=False, indent=2))
            return
        for operation in found:
            self.stdout.write(_line(operation))
        if not found:
            self.stdout.write("There is no bulk operation.")

    def _show(self, operation: BulkOperation, options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(as_json(operation), ensure_ascii=False, indent=2))
            return
        self.stdout.write(_line(operation))
        for title, counts in preview.in_words(operation.preview):
            self.stdout.write(f"  {title}: " + ", ".join(f"{for_terminal(label)}: {many}" for label, many in counts))
        if waits := progress.waits_for(operation):
            self.stdout.write(self.style.WARNING(f"  {for_terminal(waits)}"))

    def _watch(self, operation: BulkOperation, options: dict[str, Any]) -> None:
        """Show the operation until it ends, stops itself or is not there; a bar on a terminal, else a line a change."""
        last = ""
        while True:
            line = _line(operation)
            if self.stdout.isatty() and not options["json"]:
                self.stdout.write(f"\r\033[K{_bar(operation)} {line}", ending="")
                self.stdout.flush()
            elif line != last and not options["json"]:
                self.stdout.write(line)
            last = line
            if operation.state not in WATCHED:
                break
            time.sleep(LOOK_EVERY)
            operation = _find(operation.pk)
        if options["json"] or self.stdout.isatty():
            self.stdout.write("" if not options["json"] else json.dumps(as_json(operation), ensure_ascii=False))
        if operation.state == BulkState.STOPPED:
            self.stderr.write(for_terminal(progress.waits_for(operation)))
            sys.exit(1)


def as_json(operation: BulkOperation) -> dict[str, Any]:
    """Return an operation as programs read it."""
    moments = ("created_at", "started_at", "approved_at", "changed_at", "ended_at")
    plain = ("verb", "state", "source", "patch", "preview", "digest", "reason", "rate", "canary_size", "stop_percent")
    counts = ("total", "left_out", "done", "refused", "succeeded", "failed_again", "not_ready", "overtaken")
    values = {name: getattr(operation, name) for name in (*plain, *counts)}
    people = {name: getattr(operation, name) for name in ("created_by", "started_by", "approved_by")}
    times = {name: at.isoformat() if (at := getattr(operation, name)) else None for name in moments}
    measured = progress.measure(operation, now=timezone.now()).as_json()
    waits = {"waits_for": progress.waits_for(operation), "set": selection.describe(operation.source)}
    return {"id": operation.pk, **values, **people, **times, "progress": measured, **waits}


def _line(operation: BulkOperation) -> str:
    measured = progress.measure(operation, now=timezone.now())
    parts = [f"{measured.done + measured.refused} of {measured.todo}"]
    counts = {"refused": operation.refused, "succeeded": operation.succeeded, "failed again": operation.failed_again}
    parts += [f"{word} {many}" for word, many in counts.items() if many]
    if operation.left_out:
        parts.append(f"left out {operation.left_out}")
    if measured.eta_seconds is not None:
        parts.append(f"{in_words(timedelta(seconds=measured.eta_seconds))} to go")
    words = f"{operation.get_verb_display()} {selection.describe(operation.source)}"
    return f"{operation.pk}: {operation.get_state_display()}: {for_terminal(words)}: {', '.join(parts)}"


def _bar(operation: BulkOperation) -> str:
    percent = progress.measure(operation, now=timezone.now()).percent
    full = BAR * percent // 100
    return f"[{'#' * full}{'.' * (BAR - full)}] {percent:>3} %"


def _find(id: int) -> BulkOperation:
    operation = BulkOperation.objects.filter(pk=id).first()
    if operation is None:
        raise CommandError(f"There is no bulk operation {id}. A preview is removed after a day.")
    return operation


def _add_verb(parser: CommandParser, name: str) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    if name == "undo":
        which.add_argument("--of", type=int, metavar="ID", help="the operation whose messages are opened again")
    else:
        which.add_argument("--group", metavar="FINGERPRINT", help="what is stuck for one reason, as the desk names it")
        which.add_argument("--consumer", metavar="NAME", help="what has failed of one consumer")
        which.add_argument("--all", action="store_true", help="all that has failed")
        which.add_argument("--ids", metavar="FILE", help="messages by id, one a line; - is the standard input")
        which.add_argument("--keys", metavar="FILE", help="messages by business id, one a line; - as well")
        parser.add_argument("--since", metavar="SPAN", help="only what failed in the last 30s, 15m, 6h, 2d")
        parser.add_argument("--owner", default="", metavar="NAME", help="only what this person sees to")
        parser.add_argument("--error", default="", metavar="TEXT", help="only what has this text in its last error")
    if name in ("retry", "edit"):
        which.add_argument("--failed-of", type=int, metavar="ID", help="what failed again in an operation")
        parser.add_argument("--canary", type=int, default=0, metavar="N", help="try N first, the rest if all succeed")
        parser.add_argument("--stop", type=int, metavar="PERCENT", help="stop when more of the retried fail again")
    if name == "edit":
        add_patch_arguments(parser)
    if name == "retry":
        parser.add_argument(
            "--include-suspects",
            action="store_true",
            help="also where the other side may have acted: only after it was asked, and has not",
        )
    if name == "handle":
        parser.add_argument("--outcome", required=True, choices=HandledAs.values, help="how the promises were kept")
        parser.add_argument("--evidence", required=True, help="an order number, a link or a note that proves it")
    parser.add_argument("--rate", type=int, metavar="N", help="messages per second; else as fast as it goes")
    parser.add_argument("--preview", action="store_true", help="freeze and count the set, and do nothing")
    parser.add_argument("--watch", action="store_true", help="stay and show how it gets on")
    _add_who(parser, needed=False)
    _add_json(parser)


def _add_who(parser: CommandParser, *, needed: bool) -> None:
    parser.add_argument("--reason", required=needed, default="", help="why; the audit keeps it")
    parser.add_argument("--actor", required=True, help="who; the audit keeps it")


def _add_json(parser: CommandParser) -> None:
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def _select(verb: BulkVerb, options: dict[str, Any]) -> Selection:
    if verb == BulkVerb.REOPEN:
        return selection.to_undo(_find(options["of"]))
    if options.get("failed_of"):
        return selection.failed_again(_find(options["failed_of"]))
    if options["ids"]:
        return selection.listed_ids(_read(options["ids"]))
    if options["keys"]:
        return selection.listed_keys(_read(options["keys"]))
    narrowing = {"since": _parse_span(options["since"]), "owner": options["owner"], "error": options["error"]}
    if options["group"]:
        return selection.of_group(options["group"], **narrowing)
    return selection.failed(consumer=options["consumer"] or "", **narrowing)


def _read(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name}: {error}") from error
    return [line for line in map(str.strip, text.splitlines()) if line]


def _parse_span(text: str | None) -> timedelta | None:
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise CommandError(f"--since {text}: a number and a unit, as in 30s, 15m, 6h, 2d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})
