"""How books, days and differences are shown: in words, with a colour, and with the way to what they are about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.admin.seeing import permission_to_see
from outbox.admin.tones import Tone
from outbox.books.business import rows_of
from outbox.books.days import Statement, state_days
from outbox.books.declaring import get_book
from outbox.models import BookDay, BookDifference, BookState
from outbox.models.book import Difference
from outbox.operate import Person

DAYS = 14
"""Days that the page of a book lists."""
WHAT_TO_DO: Mapping[str, Promise] = {
    Difference.NO_MESSAGE: gettext_lazy(
        "Nobody will act on this row. Look how it was written: without publish(), outside its transaction, or past the "
        "application. Publish its message by the business's own means, or delete the row if it is none."
    ),
    Difference.NO_BUSINESS: gettext_lazy(
        "Somebody acts, or has acted, on a row that is not there. Look who deleted it. Withdraw or discard the message "
        "if it waits; if it has succeeded, take back what it did, and explain the difference."
    ),
    Difference.NOT_SETTLED: gettext_lazy(
        "The row says done, and the message has not succeeded: the machine, or an operator who retries it, may do it a "
        "second time. Find out who did it, then mark the message as handled, or set the row back."
    ),
    Difference.NOT_DONE: gettext_lazy(
        "The message has succeeded, and the row still waits. Look at what its consumer does, and whether the effect is "
        "there. Bring the row up to date by the business's own means, or replay the message."
    ),
}


@dataclass(frozen=True, slots=True)
class ShownBook:
    """A book, and how it stands."""

    state: BookState
    differences: int

    @property
    def tone(self) -> Tone:
        """How it stands, as a colour."""
        if self.differences:
            return Tone.BAD
        return Tone.WAIT if self.state.error or self.state.ran_at is None else Tone.GOOD

    @property
    def words(self) -> str:
        """How it stands, in a few words."""
        if self.differences:
            return _("does not balance")
        if self.state.error:
            return _("cannot be read")
        return _("balances") if self.state.ran_at else _("not read yet")


@dataclass(frozen=True, slots=True)
class ShownDifference:
    """A difference, what to do about it, and where its row and its message are, for one reader."""

    difference: BookDifference
    business_url: str
    message_url: str
    url: str

    @property
    def advice(self) -> str:
        """What to do."""
        return str(WHAT_TO_DO[self.difference.kind])


@dataclass(frozen=True, slots=True)
class ShownDay:
    """A day of a book: what it came to, and whether it was closed."""

    day: date
    stated: Statement
    closed: BookDay | None
    url: str

    @property
    def tone(self) -> Tone:
        """How it stands, as a colour."""
        if self.closed is not None:
            return Tone.GOOD
        return Tone.BAD if self.stated.missing else Tone.WAIT

    @property
    def words(self) -> str:
        """How it stands, in a word."""
        return _("closed") if self.closed is not None else _("not closed")


def show_differences(found: Iterable[BookDifference], reader: Person, site: str | None) -> list[ShownDifference]:
    """Return differences as the pages show them; no link leads where the reader may not go."""
    rows = list(found)
    primary_keys = _primary_keys(rows)
    return [
        ShownDifference(
            row,
            _business_url(row, primary_keys, reader, site),
            _message_url(row, reader, site),
            reverse("admin:outbox_bookstate_difference", args=[quote(row.book), row.pk], current_app=site),
        )
        for row in rows
    ]


def show_days(book: str, today: date, site: str | None) -> list[ShownDay]:
    """Return the last days of a book, the newest first; those without any row are left out."""
    since = today - timedelta(days=DAYS - 1)
    closed = {one.day: one for one in BookDay.objects.filter(book=book, day__gte=since).order_by("pk")}
    shown = [
        ShownDay(day, stated, closed.get(day), day_url(book, day, site))
        for day, stated in sorted(state_days(book, since, today).items(), reverse=True)
    ]
    return [day for day in shown if day.stated.business or day.closed is not None]


def day_url(book: str, day: date, site: str | None) -> str:
    """Return the address of a day of a book."""
    return reverse("admin:outbox_bookstate_day", args=[quote(book), f"{day:%Y-%m-%d}"], current_app=site)


def _message_url(row: BookDifference, reader: Person, site: str | None) -> str:
    if row.message_id is None or not reader.has_perm("outbox.view_message"):
        return ""
    return reverse("admin:outbox_message_change", args=[row.message_id], current_app=site)


def _business_url(
    row: BookDifference, primary_keys: Mapping[tuple[str, str], str], reader: Person, site: str | None
) -> str:
    """Return where the business row is in the admin, if it is there and this person may see it."""
    book = get_book(row.book)
    if book is None or (row.book, row.key) not in primary_keys:
        return ""
    meta = book.business.model._meta
    name = f"{meta.app_label}_{meta.model_name}_change"
    if not reader.has_perm(permission_to_see(name)):
        return ""
    try:
        return reverse(f"admin:{name}", args=[quote(primary_keys[row.book, row.key])], current_app=site)
    except NoReverseMatch:
        return ""


def _primary_keys(rows: Iterable[BookDifference]) -> dict[tuple[str, str], str]:
    """Return the primary keys of the business rows, by book and key, where there is a row: a statement for each book.

    Where the key is the primary key, none is needed.
    """
    keys: dict[str, list[str]] = {}
    for row in rows:
        if row.kind != Difference.NO_BUSINESS:
            keys.setdefault(row.book, []).append(row.key)
    found: dict[tuple[str, str], str] = {}
    for name, of_book in keys.items():
        book = get_book(name)
        if book is not None and book.key == "pk":
            found.update({(name, key): key for key in of_book})
        elif book is not None:
            pairs = rows_of(book).filter(**{f"{book.key}__in": of_book}).values_list(book.key, "pk")
            found.update({(name, str(key)): str(pk) for key, pk in pairs})
    return found
