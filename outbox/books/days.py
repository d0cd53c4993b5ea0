"""Closing a day: what was due and what became of it, stated, sealed over the rows themselves, and put into the audit.

The statement counts messages: of every business row of the day one for each consumer that the rows of its window have.
They are a success, handled, discarded, withdrawn, overdue or open; what is missing is a difference. The seal is a
SHA-256 of every row of the day, by the hour, so that a row that is changed afterwards is noticed, and when it is of.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from outbox import audit
from outbox.books import reading
from outbox.books.choosing import oldest_askable, refused_as_pruned
from outbox.books.declaring import Book, get_book
from outbox.books.horizon import look
from outbox.books.keeping import read_book
from outbox.books.sealing import Seals, seal, seal_of
from outbox.conf import conf
from outbox.errors import BookRefused
from outbox.models import AuditEntry, BookDay, BookDifference, BookWindow
from outbox.models.book import start_of, window_of
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction

SUMMED = ("business", "done", "closed", "missing", *reading.IN_WORK)
"""What is added up of a day's windows."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a day comes to. ``vendor`` is what the other side's book has, None if it has none or did not answer."""

    business: int = 0
    done: int = 0
    closed: int = 0
    consumers: int = 0
    due: int = 0
    success: int = 0
    handled: int = 0
    discarded: int = 0
    withdrawn: int = 0
    overdue: int = 0
    open: int = 0
    missing: int = 0
    vendor: int | None = None
    vendor_error: str = ""

    @property
    def in_words(self) -> str:
        """The statement as one line."""
        parts = " + ".join(f"{getattr(self, name)} {name}" for name in reading.IN_WORK)
        missing = f", {self.missing} missing" if self.missing else ""
        return f"{self.business} business rows, {self.due} messages due = {parts}{missing}"

    @property
    def balances(self) -> bool:
        """Tell whether every message that is due is accounted for."""
        return bool(self.due == sum(getattr(self, name) for name in reading.IN_WORK))


@dataclass(frozen=True, slots=True)
class DayOfBook:
    """A day of a book, by its name."""

    book: str
    day: date


@dataclass(frozen=True, slots=True)
class Verified:
    """What a day that was closed comes to now: which figures have changed, and in which hours rows have.

    ``entry_fits`` is False if the audit's entry itself was changed. Of a day whose messages may have been pruned since,
    the business rows alone are compared.
    """

    entry: int
    entry_fits: bool
    figures: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    business_hours: tuple[datetime, ...] = ()
    message_hours: tuple[datetime, ...] = ()
    messages_pruned: bool = False

    @property
    def holds(self) -> bool:
        """Tell whether everything is as it was when the day was closed."""
        return self.entry_fits and not (self.figures or self.business_hours or self.message_hours)

    @property
    def in_words(self) -> list[str]:
        """Everything that has changed, a sentence each; or that nothing has."""
        lines = [] if self.entry_fits else [_("The entry %(id)d of the audit was changed itself.") % {"id": self.entry}]
        for name, (then, now) in sorted(self.figures.items()):
            words = {"name": name, "then": then, "now": now}
            lines.append(_("%(name)s: was %(then)s, is %(now)s.") % words)
        for hours, text in (
            (self.business_hours, _("Business rows have changed that are of %(hour)s and the hour after it.")),
            (self.message_hours, _("Messages have changed whose rows are of %(hour)s and the hour after it.")),
        ):
            lines += [text % {"hour": f"{_local(hour):%Y-%m-%d %H:%M}"} for hour in hours]
        if not lines:
            lines.append(_("Nothing has changed since the day was closed (entry %(id)d).") % {"id": self.entry})
        if self.messages_pruned:
            lines.append(_("Its messages may have been pruned since: only the business rows were compared."))
        return lines

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return asdict(self)


def _local(at: datetime) -> datetime:
    return timezone.localtime(at) if timezone.is_aware(at) else at


def bounds_of(day: date) -> tuple[datetime, datetime]:
    """Return when a day begins and ends in the project's time zone."""
    begin, end = datetime.combine(day, time()), datetime.combine(day + timedelta(days=1), time())
    if settings.USE_TZ:
        zone = timezone.get_default_timezone()
        return timezone.make_aware(begin, zone), timezone.make_aware(end, zone)
    return begin, end


def today() -> date:
    """Return the day it is in the project's time zone."""
    now = timezone.now()
    return (timezone.localtime(now, timezone.get_default_timezone()) if timezone.is_aware(now) else now).date()


def state_day(book: str, day: date) -> Statement:
    """Return what the windows of a day came to when they were last read."""
    return state_days(book, day, day)[day]


def state_days(book: str, first: date, last: date) -> dict[date, Statement]:
    """Return what each of some days came to, by one statement."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    begins = [window_of(bounds_of(day)[0]) for day in days]
    windows = BookWindow.objects.filter(book=book).between(begins[0], window_of(bounds_of(last)[1]))
    sums: dict[date, Counter[str]] = {day: Counter() for day in days}
    most = dict.fromkeys(days, 0)
    for number, consumers, *counted in windows.values_list("number", "consumers", *SUMMED):
        day = days[bisect_right(begins, number) - 1]
        sums[day].update(dict(zip(SUMMED, counted, strict=True)))
        most[day] = max(most[day], consumers)
    return {day: _statement(sums[day], most[day]) for day in days}


def _statement(sums: Counter[str], consumers: int) -> Statement:
    due = sums["missing"] + sum(sums[name] for name in reading.IN_WORK)
    counts: dict[str, Any] = {name: sums[name] for name in SUMMED}
    return Statement(**counts, consumers=consumers, due=due)


def differences_of(book: str, day: date) -> Any:
    """Return the differences of a day that nobody has explained."""
    begin, end = bounds_of(day)
    return BookDifference.objects.unexplained().filter(book=book, at__gte=begin, at__lt=end)


def subject_of(book: str, day: date) -> str:
    """Return how the audit names a day of a book."""
    return f"book {book} {day:%Y-%m-%d}"


@noted_if_refused(Action.CLOSE_DAY, name="book {}".format)
def close_day(name: str, day: date, *, actor: Actor, reason: str, origin: str) -> BookDay:
    """Read the day anew, and enter what it comes to into the audit; return the closed day.

    Raises ``NotAllowed`` without permission or reason, and ``BookRefused`` for a day that is not over, that does not
    balance, or whose messages may have been pruned. What is open may stay open: the statement says so.
    """
    action = OperatorAction(Action.CLOSE_DAY, actor, reason, origin)
    action.check()
    book = _declared(name)
    begin, end = bounds_of(day)
    horizon = look()
    if end > min(horizon.settled, horizon.now - book.minimum_age):
        raise BookRefused(
            _("This day is not over: something that is running may still write into it. Try again later.")
        )
    _refuse_what_is_pruned(book, begin, horizon.now)
    read_book(book, since=begin, until=end)
    if many := differences_of(name, day).count():
        text = _("The day does not balance: differences that are neither gone nor explained: %(many)d.")
        raise BookRefused(text % {"many": many})
    vendor, error = _ask_vendor(book, begin, end)
    stated = {**asdict(state_day(name, day)), "vendor": vendor, "vendor_error": error}
    seals = seal(book, begin, end)
    subject = subject_of(name, day)
    with transaction.atomic(using=conf().database):
        action.record(subject, before={}, after={**stated, "seal": seal_of(seals)})
        entry = audit.last_act_about(subject, Action.CLOSE_DAY)
        if entry is None:
            raise RuntimeError("the entry of a closed day is not there in its own transaction")
        return BookDay.objects.create(book=name, day=day, closed_by=action.actor_name, entry=entry.pk, seals=seals)


def verify_day(name: str, day: date) -> Verified:
    """Compare a day, as it was last closed, with its rows as they are now. Raises ``BookRefused`` if it never was."""
    book = _declared(name)
    closed = BookDay.objects.filter(book=name, day=day).order_by("-pk").first()
    entry = None if closed is None else AuditEntry.objects.filter(pk=closed.entry).first()
    if closed is None or entry is None:
        raise BookRefused(_("This day was never closed, or its entry was removed with the oldest of the audit."))
    begin, end = bounds_of(day)
    now = look().now
    stated: dict[str, Any] = dict(entry.after)
    then: Seals = closed.seals
    seals = seal(book, begin, end)
    pruned = begin < oldest_askable(now)
    figures: dict[str, tuple[Any, Any]] = {}
    if not pruned:
        counted = reading.count(book, begin, end, settled=now)
        figures = _changed_figures(stated, counted.values())
    changed = [hour for hour in sorted({*then, *seals}, key=int) if then.get(hour) != seals.get(hour)]
    fits = entry.digest == entry.sealed() and entry.texts_digest == entry.texts_sealed()
    fits = fits and stated.get("seal") == seal_of(then)
    return Verified(
        entry=entry.pk,
        entry_fits=fits and entry.subject == subject_of(name, day),
        figures=figures,
        business_hours=_hours(changed, then, seals, 0),
        message_hours=() if pruned else _hours(changed, then, seals, 1),
        messages_pruned=pruned,
    )


def _declared(name: str) -> Book:
    book = get_book(name)
    if book is None:
        raise BookRefused(_("The running code has no book “%(book)s”.") % {"book": name})
    return book


def _refuse_what_is_pruned(book: Book, begin: datetime, now: datetime) -> None:
    oldest = oldest_askable(now)
    if begin < oldest:
        raise refused_as_pruned(book, oldest)


def _ask_vendor(book: Book, begin: datetime, end: datetime) -> tuple[int | None, str]:
    """Ask the other side's book, outside any transaction of ours; it may say anything, or nothing."""
    try:
        said = book.vendor(begin, end)
    except Exception as error:
        # The project's own function, which talks to others: that it failed is stated, and the day is closed without.
        return None, f"{type(error).__name__}: {error}"[:200]
    if said is None:
        return None, ""
    if type(said) is not int or said < 0:
        return None, f"vendor() returned {said!r:.100}, which is no count"
    return said, ""


def _changed_figures(stated: Mapping[str, Any], windows: Iterable[reading.WindowCounts]) -> dict[str, tuple[Any, Any]]:
    counted = list(windows)
    now = {name: sum(window.messages[name] for window in counted) for name in reading.IN_WORK}
    now["business"] = sum(sum(window.business.values()) for window in counted)
    now |= {name: sum(window.business[name] for window in counted) for name in ("done", "closed")}
    return {name: (stated.get(name), many) for name, many in now.items() if stated.get(name) != many}


def _hours(changed: Iterable[str], then: Seals, now: Seals, which: int) -> tuple[datetime, ...]:
    nothing = ["", ""]
    return tuple(
        start_of(int(hour)) for hour in changed if then.get(hour, nothing)[which] != now.get(hour, nothing)[which]
    )
