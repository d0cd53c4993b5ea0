"""``manage.py outbox_uninstall``: what the outbox has made in this project, and removing what would be left."""

from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, Error

from outbox.conf import conf
from outbox.errors import StillInUse
from outbox.maintenance.uninstalling import FoundQueue, Group, Traces, find_traces, remove
from outbox.models.sql.errors import describe


class Command(BaseCommand):
    """Shows what is there; with ``--yes`` removes what ``migrate outbox zero`` would leave."""

    help = (
        "Show what the outbox has made: groups, beat's entries, queues, tables, triggers, functions. With --yes remove "
        "the first three, which migrate outbox zero would leave. It refuses while workers run, and while messages are "
        "unfinished or wait for a person."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to act, and whether unfinished messages may be lost."""
        parser.add_argument("--yes", action="store_true", help="remove groups, beat's entries and queues")
        parser.add_argument(
            "--discard",
            action="store_true",
            help="although messages are unfinished or wait for a person: they go with the tables",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print what is there, remove what was asked for, and say what to do next."""
        try:
            traces = find_traces()
            left = self._remove(traces, discard=options["discard"]) if options["yes"] else None
        except Error as error:
            raise CommandError(describe(error)) from error
        if left is None:
            self._show(traces)
        else:
            self._show_left(traces, left)
            self._show_next_steps(traces)

    def _remove(self, traces: Traces, *, discard: bool) -> list[str]:
        try:
            return remove(traces, discard=discard)
        except StillInUse as refusal:
            raise CommandError(f"{refusal} Nothing was changed.") from refusal

    def _show(self, traces: Traces) -> None:
        self._print(
            "outbox_uninstall --yes removes:",
            [
                *(("group", group.name, _remark_on_group(group)) for group in traces.groups),
                *(("beat's entry", name, "") for name in traces.entries),
                *(("queue", queue.name, _remark_on_queue(queue)) for queue in traces.queues),
            ],
        )
        if traces.trouble:
            self.stdout.write(self.style.WARNING(f"Which queues there are is not known: {traces.trouble}"))
        self._print(
            f"{_migrate_command()} removes:",
            [
                *(("table", name, "") for name in traces.tables),
                *(("trigger", name, "") for name in traces.triggers),
                *(("function", name, "") for name in traces.functions),
            ],
        )
        if traces.unfinished or traces.exhausted:
            what = f"unfinished {traces.unfinished}, failed and waiting for a person {traces.exhausted}"
            self.stdout.write(self.style.WARNING(f"Messages that would be lost: {what}."))
        self.stdout.write("Nothing was changed.")

    def _show_left(self, traces: Traces, left: list[str]) -> None:
        gone = [group for group in traces.groups if not group.is_shared]
        queues = len(traces.queues) - len(left)
        self.stdout.write(
            f"Removed: {len(gone)} groups, {len(traces.entries)} of beat's entries, {queues} queues.",
            self.style.SUCCESS,
        )
        for group in traces.groups:
            if group.is_shared:
                self.stdout.write(f"Kept: the group {group.name}, as {_remark_on_group(group)}.")
        if left:
            self.stdout.write("These queues may be left. Delete them when the broker answers, with rights on them:")
            for name in left:
                self.stdout.write(f"  rabbitmqctl -p '{traces.vhost}' delete_queue '{name}'")

    def _show_next_steps(self, traces: Traces) -> None:
        steps = [
            f"python manage.py {_migrate_command()}",
            'Take "outbox" out of INSTALLED_APPS, outbox.configure() out of your Celery app, and outbox.urls out of '
            "your URLs.",
            "python manage.py remove_stale_contenttypes --include-stale-apps, which removes its permissions.",
        ]
        if traces.foreign_keys:
            keys = ", ".join(traces.foreign_keys)
            steps.insert(
                0,
                f"Remove {keys} by a migration of your own: the next step would else undo the migrations that made "
                "these foreign keys.",
            )
        self.stdout.write("Next:")
        for number, step in enumerate(steps, 1):
            self.stdout.write(f"  {number}. {step}")

    def _print(self, title: str, rows: Iterable[tuple[str, str, str]]) -> None:
        self.stdout.write(title)
        lines = [f"  {kind:<12}  {name}" + (f" ({remark})" if remark else "") for kind, name, remark in rows]
        for line in lines or ["  nothing"]:
            self.stdout.write(line)


def _migrate_command() -> str:
    database = conf().database
    return "migrate outbox zero" + ("" if database == DEFAULT_DB_ALIAS else f" --database {database}")


def _remark_on_group(group: Group) -> str:
    if group.is_shared:
        return "it has permissions of other apps"
    return f"members: {group.members}"


def _remark_on_queue(queue: FoundQueue) -> str:
    if queue.waiting is None:
        return "not known whether it is there"
    return f"hints: {queue.waiting}" + (f", workers: {queue.takers}" if queue.takers else "")
