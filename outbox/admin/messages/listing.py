"""The work queue's rows: pages by keyset.

No page reads more than ``ROWS_READ`` rows of an index, however large the table is and however rare what it looks for.
Where a page stops for that reason it says so, and its "next" goes on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import DateTimeField, F, Q, Value
from django.db.models.fields.tuple_lookups import (
    TupleGreaterThan,
    TupleGreaterThanOrEqual,
    TupleLessThan,
    TupleLessThanOrEqual,
)
from django.db.models.functions import Left
from django.utils.dateparse import parse_datetime

from outbox.admin import finders
from outbox.admin.messages.tabs import EVERYTHING, FAILED, Scope, Tab, find_tab, turn
from outbox.models import Evidence, Message, Status
from outbox.models.queryset import MessageQuerySet
from outbox.models.row_ids import read_id
from outbox.models.sql.beside import read_beside
from outbox.models.sql.clock import as_moment
from outbox.models.sql.order import OrderOfKey, heads_of

ROWS_PER_PAGE = 50
ROWS_READ = 10_000

Position = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a tab, where the pages before and after begin, and whether looking stopped too soon."""

    rows: Sequence[Message]
    newer: str = ""
    older: str = ""
    cut_short: bool = False
    finder_failed: bool = False


def read_page(tab: Tab, scope: Scope = EVERYTHING, *, after: str = "", before: str = "") -> Page:
    """Return the page that follows the cursor ``after``, or the one that ends before the cursor ``before``."""
    start = _decode_cursor(tab, before or after)
    if before and start:
        places, stopped = _walk(tab, scope, start, backwards=True)
        if len(places) > ROWS_PER_PAGE or stopped:
            shown = places[:ROWS_PER_PAGE][::-1]
            newer = _encode_cursor(shown[0]) if len(places) > ROWS_PER_PAGE else stopped
            return Page(_read_rows(shown), newer=newer, older=before if not shown else _encode_cursor(shown[-1]))
        start = None  # the beginning was reached: show a full first page
    places, stopped = _walk(tab, scope, start, backwards=False)
    shown = places[:ROWS_PER_PAGE]
    return Page(
        _read_rows(shown),
        newer=_encode_cursor(shown[0] if shown else start) if start else "",
        older=_encode_cursor(shown[-1]) if len(places) > ROWS_PER_PAGE else stopped,
        cut_short=bool(stopped),
    )


def search_messages(text: str) -> Page:
    """Return the newest messages that ``text`` means, whatever their status.

    It is a business id, an id of ours or an evidence, in full, or what the project's finders take it for.
    """
    if "\0" in text:
        return Page([])
    id = read_id(text)
    proved = list(Evidence.objects.saying(text).order_by("-id").values_list("message_id", flat=True)[:ROWS_PER_PAGE])
    exact = Q(key=text) | Q(pk__in=proved if id is None else [*proved, id])
    meant, failed = finders.find_keys(text)
    rows = list(_light(Message.objects.filter(exact | finders.among(meant))).order_by("-id")[: 2 * ROWS_PER_PAGE])
    kept = [
        row for row in rows if text in (row.key, str(row.pk)) or row.pk in proved or not finders.is_foreign(row, meant)
    ]
    return Page(kept[:ROWS_PER_PAGE], finder_failed=failed)


def heads_before(rows: Sequence[Message]) -> dict[int, int]:
    """Return, by the id of each of ``rows`` that waits for another of its ordering key, the id of that."""
    waiting = {
        row.pk: OrderOfKey(row.consumer, row.ordering_key)
        for row in rows
        if row.ordering_key and row.status == Status.PENDING
    }
    heads = heads_of(set(waiting.values())) if waiting else {}
    return {id: head for id, order in waiting.items() if (head := heads.get(order, id)) < id}


def next_failed(message_id: int, scope: Scope = EVERYTHING, *, turned: bool = False) -> int | None:
    """Return the failed message below this one in the queue, else the topmost one; None if no other is left."""
    tab = find_tab(FAILED.slug, turned=turned)
    beyond = {"pk__gt" if turned else "pk__lt": message_id}
    streams = [rows.exclude(pk=message_id).order_by(*tab.order).values_list("pk") for rows in tab.rows(scope)]
    found = read_beside([part for rows in streams for part in (rows.filter(**beyond)[:1], rows[:1])])
    ids = [id for (id,) in found]
    first = min if turned else max
    below = [id for id in ids if (id > message_id) == turned]
    return first(below or ids, default=None)


def _walk(tab: Tab, scope: Scope, start: Position | None, *, backwards: bool) -> tuple[list[Position], str]:
    """Return the places of a page's rows, and one more, from ``start`` on, and the cursor where looking stopped early.

    Places alone, as an index holds them: PostgreSQL then takes the index that knows the consumer, and of several
    streams only the rows that are shown are read.
    """
    order = [turn(name) for name in tab.order] if backwards else list(tab.order)
    kept = tab.kept(scope)
    streams = [stream.filter(_beyond(order, start)) if start else stream for stream in tab.rows(scope)]
    boundary = _boundary(streams, order) if kept else None
    within = [stream.filter(_up_to(order, boundary)) for stream in streams] if boundary else streams
    found = _places([stream.filter(kept).order_by(*order)[: ROWS_PER_PAGE + 1] for stream in within], order)
    places = sorted(found, reverse=order[0].startswith("-"))[: ROWS_PER_PAGE + 1]
    return places, _encode_cursor(boundary) if boundary and len(places) <= ROWS_PER_PAGE else ""


def _boundary(streams: Sequence[MessageQuerySet], order: Sequence[str]) -> Position | None:
    """Return the place of the row at which looking ends: in each stream the ``ROWS_READ``-th, of those the nearest."""
    ends = _places([stream.order_by(*order)[ROWS_READ : ROWS_READ + 1] for stream in streams], order)
    if not ends:
        return None
    return max(ends) if order[0].startswith("-") else min(ends)


def _places(streams: Sequence[MessageQuerySet], order: Sequence[str]) -> list[Position]:
    """Return the places of the rows of all streams, whose last part is the id, by one statement."""
    names = _column_names(order)
    rows = read_beside([stream.values_list(*names) for stream in streams])
    return [tuple(part if isinstance(part, int) else as_moment(part) for part in row) for row in rows]


def _read_rows(places: Sequence[Position]) -> list[Message]:
    """Read the rows at these places, whose last part is the id, in the same order."""
    ids = [place[-1] for place in places]
    rows = _light(Message.objects.filter(pk__in=ids)).in_bulk()
    return [rows[id] for id in ids if id in rows]


def _light(rows: MessageQuerySet) -> MessageQuerySet:
    """Leave out what a list does not show, and cut errors short."""
    shown = rows.select_related("note").defer("payload", "headers", "last_error", "note__text")
    return shown.annotate(error=Left("last_error", 300))


def _beyond(order: Sequence[str], position: Position) -> Any:
    compare = TupleLessThan if order[0].startswith("-") else TupleGreaterThan
    return compare(_columns(order), _as_values(position))


def _up_to(order: Sequence[str], position: Position) -> Any:
    compare = TupleGreaterThanOrEqual if order[0].startswith("-") else TupleLessThanOrEqual
    return compare(_columns(order), _as_values(position))


def _columns(order: Sequence[str]) -> tuple[F, ...]:
    return tuple(F(name) for name in _column_names(order))


def _column_names(order: Sequence[str]) -> list[str]:
    return [name.lstrip("-") for name in order]


def _as_values(position: Position) -> tuple[Any, ...]:
    return tuple(Value(part, output_field=DateTimeField()) if isinstance(part, datetime) else part for part in position)


def _encode_cursor(position: Position) -> str:
    return "_".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in position)


def is_cursor(tab: Tab, text: str) -> bool:
    """Tell whether a page of the tab begins or ends there."""
    return _decode_cursor(tab, text) is not None


def _decode_cursor(tab: Tab, cursor: str) -> Position | None:
    """Read a cursor back; None if there is none or it is none of this tab's."""
    *times, last = cursor.split("_")
    position = (*map(read_moment, times), read_id(last))
    return None if len(position) != len(tab.order) or None in position else position


def read_moment(text: str) -> datetime | None:
    """Read a moment out of an address; None if it is none, or has no zone."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
