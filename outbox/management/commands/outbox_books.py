"""``manage.py outbox_books``: is everything accounted for? Reads the books now, and says what does not balance."""

import json
import sys
from datetime import date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from outbox.books import days
from outbox.books.declaring import Book, all_books, get_book
from outbox.books.keeping import BookRun, read_book
from outbox.errors import OperatorError
from outbox.management.acting import for_terminal
from outbox.models import BookDifference
from outbox.models.sql.errors import describe

SHOWN = 1_000
"""Differences of a book that are printed at most; how many there are is always said."""


def moment(text: str) -> datetime:
    """Return a day's beginning, or a moment, in the project's time zone."""
    try:
        day, at = parse_date(text), parse_datetime(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no date: {error}") from error
    if day is not None:
        return days.bounds_of(day)[0]
    if at is None:
        raise CommandError(f"{text!r} is neither a day, as 2026-11-29, nor a moment, as 2026-11-29T18:00")
    return timezone.make_aware(at) if timezone.is_naive(at) and timezone.is_aware(timezone.now()) else at


class Command(BaseCommand):
    """Reads books, and closes or verifies a day of one."""

    help = (
        "Compare business rows and messages, and list what does not balance. The exit status is 1 if anything does "
        "not, or a day that was closed is not as it was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take which books, which span, and what is to be done."""
        parser.add_argument("books", nargs="*", metavar="BOOK", help="only these books")
        parser.add_argument("--from", dest="since", type=moment, metavar="WHEN", help="read anew from this day on")
        parser.add_argument("--to", dest="until", type=moment, metavar="WHEN", help="read anew up to this day")
        parser.add_argument("--json", action="store_true", help="the answer as one JSON object")
        parser.add_argument("--close", metavar="DAY", help="close this day of the one book named")
        parser.add_argument("--verify", metavar="DAY", help="compare this day with what it was when it was closed")
        parser.add_argument("--actor", default="", help="who closes the day; the audit keeps the name")
        parser.add_argument("--reason", default="", help="why; the audit keeps it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what was asked for, and end with 1 where something does not fit."""
        try:
            chosen = _chosen(options["books"])
            is_about_a_day = options["close"] or options["verify"]
            fits = self._day(chosen, options) if is_about_a_day else self._read(chosen, options)
        except (OperatorError, Error) as error:
            raise CommandError(describe(error) if isinstance(error, Error) else str(error)) from error
        if not fits:
            sys.exit(1)

    def _read(self, books: list[Book], options: dict[str, Any]) -> bool:
        since, until = options["since"], options["until"]
        runs = [read_book(book, since=since, until=until) for book in books]
        found = {run.book: _differences(run.book, since, until) for run in runs}
        if options["json"]:
            answer = {"books": [_as_json(run, found[run.book]) for run in runs]}
            self.stdout.write(json.dumps(answer, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2))
        else:
            for run in runs:
                self._print(run, found[run.book])
            if not runs:
                self.stdout.write("there is no book: declare one by @outbox.book in a consumers.py")
        return not any(of_book.exists() for of_book in found.values())

    def _print(self, run: BookRun, found: "QuerySet[BookDifference]") -> None:
        many = found.count()
        line = f"{run.book}: {many} differences ({run.windows} windows read in {run.seconds:.1f} s)"
        self.stdout.write(self.style.ERROR(line) if many else self.style.SUCCESS(line))
        for one in found[:SHOWN]:
            of = f" (message {one.message_id})" if one.message_id else ""
            text = f"  {one.get_kind_display()}: {one.key} {one.consumer}{of}, {one.at:%Y-%m-%d %H:%M}"
            self.stdout.write(for_terminal(text))

    def _day(self, books: list[Book], options: dict[str, Any]) -> bool:
        if len(books) != 1 or bool(options["close"]) == bool(options["verify"]):
            raise CommandError("name one book, and either --close or --verify with a day")
        day = _day_of(options["close"] or options["verify"])
        if options["verify"]:
            return self._say_verified(days.verify_day(books[0].name, day), as_json=options["json"])
        closed = days.close_day(
            books[0].name, day, actor=options["actor"], reason=options["reason"], origin="outbox_books"
        )
        stated = days.state_day(books[0].name, day)
        self.stdout.write(self.style.SUCCESS(f"closed, entry {closed.entry} of the audit: {stated.in_words}"))
        return True

    def _say_verified(self, verified: days.Verified, *, as_json: bool) -> bool:
        if as_json:
            self.stdout.write(json.dumps({**verified.as_json(), "holds": verified.holds}, cls=DjangoJSONEncoder))
        else:
            for line in verified.in_words:
                self.stdout.write(line)
        return verified.holds


def _chosen(names: list[str]) -> list[Book]:
    books = {book.name: book for book in all_books()}
    unknown = [name for name in names if get_book(name) is None]
    if unknown:
        raise CommandError(f"there is no book {', '.join(unknown)}; there are: {', '.join(books) or 'none'}")
    return [books[name] for name in names] if names else list(books.values())


def _day_of(text: str) -> date:
    day = parse_date(text)
    if day is None:
        raise CommandError(f"{text!r} is no day, as 2026-11-29")
    return day


def _differences(book: str, since: datetime | None, until: datetime | None) -> "QuerySet[BookDifference]":
    found = BookDifference.objects.unexplained().filter(book=book).order_by("at", "pk")
    found = found if since is None else found.filter(at__gte=since)
    return found if until is None else found.filter(at__lt=until)


def _as_json(run: BookRun, found: "QuerySet[BookDifference]") -> dict[str, Any]:
    columns = ("id", "kind", "key", "consumer", "message_id", "at", "found_at")
    return {
        "book": run.book,
        "windows_read": run.windows,
        "seconds": round(run.seconds, 3),
        "differences": found.count(),
        "listed": list(found.values(*columns)[:SHOWN]),
    }
