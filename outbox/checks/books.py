"""The books: whether what they name is there, on the engine's database, and quick to find."""

from collections.abc import Iterator

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import router
from django.db.models import DateTimeField, Field, Q

from outbox import registry
from outbox.books.declaring import Book, all_books
from outbox.checks.database import CheckMessages, database_vendor
from outbox.conf import conf


def check_books() -> CheckMessages:
    """Yield what keeps a book from being read, or makes it slow."""
    for book in all_books():
        found = list(_errors(book))
        yield from found or _warnings(book)


def _errors(book: Book) -> Iterator[CheckMessage]:
    model, name = book.business.model, book.name
    alias = router.db_for_write(model)
    if alias != conf().database:
        yield Error(
            f"The book {name}: {model._meta.label} is on the database {alias!r}, and the messages are on "
            f"{conf().database!r}. No statement reads both.",
            hint="Keep a row of the business on the engine's database, written in the transaction of publish(), and "
            'account for that one; or move the outbox by OUTBOX["DATABASE"].',
            id="outbox.E020",
        )
        return
    if database_vendor() == "sqlite" and not settings.USE_TZ:
        yield Error(
            f"The book {name}: on SQLite with USE_TZ = False the business date has no zone to be compared in.",
            hint="Set USE_TZ = True.",
            id="outbox.E022",
        )
    for attribute, wanted in (("since", DateTimeField), ("changed", DateTimeField), ("key", Field)):
        path = getattr(book, attribute)
        if path and not isinstance(_field_of(book, path), wanted):
            yield Error(
                f"The book {name}: {attribute} names {path!r}, which is no {wanted.__name__} of {model._meta.label}.",
                hint=f"Name a {wanted.__name__} of the row itself.",
                id="outbox.E021",
            )
    for attribute in ("done", "closed"):
        if problem := _problem_of(book, getattr(book, attribute)):
            yield Error(
                f"The book {name}: {attribute} cannot be asked of {model._meta.label}: {problem}",
                hint="Mend the Q: it names fields of the business row.",
                id="outbox.E021",
            )
    for path in book.sealed:
        if _field_of(book, path) is None:
            yield Error(
                f"The book {name}: sealed names {path!r}, which is no field of {model._meta.label}.",
                hint="Name fields of the row itself, or leave sealed out.",
                id="outbox.E021",
            )


def _warnings(book: Book) -> Iterator[CheckMessage]:
    for attribute in ("since", "changed", "key"):
        path = getattr(book, attribute)
        if path and not _has_index(book, path):
            yield Warning(
                f"The book {book.name}: {attribute} names {path!r}, which has no index; each reading reads the whole "
                "table.",
                hint=f"Add an index on {path}.",
                id="outbox.W070",
            )
    known = set(registry.consumer_names())
    for name in book.settled_by:
        if name not in known:
            yield Warning(
                f"The book {book.name}: settled_by names {name!r}, and there is no such consumer.",
                hint="Name consumers as they are named in the table, by app_label.function or their name=.",
                id="outbox.W071",
            )


def _field_of(book: Book, path: str) -> object:
    meta = book.business.model._meta
    try:
        return meta.pk if path == "pk" else meta.get_field(path)
    except FieldDoesNotExist:
        return next((field for field in meta.concrete_fields if field.attname == path), None)


def _problem_of(book: Book, condition: Q | None) -> str:
    try:
        if condition is not None:
            book.business.filter(condition)
    except (FieldError, ValueError, TypeError) as error:
        return str(error)
    return ""


def _has_index(book: Book, path: str) -> bool:
    """Tell whether an index begins with the field."""
    field = _field_of(book, path)
    if not isinstance(field, Field):
        return False
    if field.primary_key or field.unique or getattr(field, "db_index", False):
        return True
    meta = book.business.model._meta
    firsts = {index.fields_orders[0][0] for index in meta.indexes if index.fields_orders}
    firsts |= {constraint.fields[0] for constraint in meta.constraints if getattr(constraint, "fields", ())}
    return field.name in firsts
