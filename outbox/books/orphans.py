"""Messages without a business row: looked for by message, from where the last search ended, and nightly from the first.

A message is known to have its row for good only when no transaction is running that may still write an older one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connections
from django.db.models import Exists, Max, QuerySet

from outbox.books.business import Sql, as_parameter, business_sql, messages_of, of_book, of_key
from outbox.books.declaring import Book
from outbox.books.reading import LISTED, Found, ask
from outbox.conf import conf
from outbox.models import BookDifference, Message
from outbox.models.book import Difference

NIGHTLY = timedelta(hours=24)
BLOCK = 200_000
"""Messages that one statement of the chore looks at; a command looks at all of them at once."""


def orphans_of(book: Book) -> QuerySet[Message]:
    """Return the book's messages that have no business row."""
    return messages_of(book.topic).filter(~Exists(of_key(book)))


def newest_settled(before: datetime) -> int:
    """Return the last message that was written ``before`` a moment at which no running transaction had begun."""
    older = Message.objects.filter(created_at__lt=before).order_by("-pk")
    return older.values_list("pk", flat=True).first() or 0


def newest() -> int:
    """Return the newest message that can be seen."""
    return Message.objects.aggregate(newest=Max("pk"))["newest"] or 0


def first_after(id: int) -> int:
    """Return the first message after one; what was pruned between them is passed over."""
    following = Message.objects.filter(pk__gt=id).order_by("pk").values_list("pk", flat=True).first()
    return id if following is None else following - 1


def search(book: Book, after: int, upto: int, *, settled: datetime) -> list[Found]:
    """Return the first that have no business row among the messages after one up to another, older than ``settled``."""
    unmatched = _of_many if upto - after > BLOCK else _of_few
    found = unmatched(book, after, upto, settled)
    # Materialized, or the limit has each message looked up by itself.
    once = "MATERIALIZED " if connections[conf().database].vendor == "postgresql" else ""
    text = f"WITH found (id) AS {once}({found.text}) SELECT id FROM found ORDER BY id LIMIT {LISTED}"  # noqa: S608
    ids = [id for (id,) in ask(Sql(text, found.params))]
    messages = Message.objects.filter(pk__in=ids).only("id", "key", "consumer", "created_at")
    return [_found(message) for message in messages.order_by("pk")]


def _of_few(book: Book, after: int, upto: int, settled: datetime) -> Sql:
    """Return the ids of those without a business row, which is looked up by the index of its key."""
    seen = orphans_of(book).filter(pk__gt=after, pk__lte=upto, created_at__lt=settled)
    sql, params = seen.values_list("pk").order_by().query.get_compiler(conf().database).as_sql()
    return Sql(sql, tuple(params))


def _of_many(book: Book, after: int, upto: int, settled: datetime) -> Sql:
    """Return the same by the text of the keys: both tables are read once, and no key must be proven to be a number."""
    of, business = of_book(book.topic), business_sql(book)
    text = (
        f"SELECT m.id FROM {Message._meta.db_table} m WHERE {of.text} "  # noqa: S608
        "AND m.id > %s AND m.id <= %s AND m.created_at < %s "
        f"AND NOT EXISTS (SELECT 1 FROM ({business.text}) b WHERE b.k = m.key)"
    )
    return Sql(text, (*of.params, after, upto, as_parameter(settled), *business.params))


def still_there(book: Book, differences: Sequence[BookDifference]) -> set[int]:
    """Return which of these messages still have no business row."""
    ids = [difference.message_id for difference in differences if difference.message_id is not None]
    return set(orphans_of(book).filter(pk__in=ids).values_list("pk", flat=True))


def _found(message: Message) -> Found:
    return Found(Difference.NO_BUSINESS, message.key, message.consumer, message.pk, None, message.created_at)
