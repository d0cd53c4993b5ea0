"""The work queue's rows: pages by keyset, and counts that stop counting.

No page reads more than ``LOOK`` rows of an index, however large the table is and however rare what it looks for. Where
a page stops for that reason it says so, and its "next" goes on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from typing import Any

from django.db.models import Count, DateTimeField, F, Q, Value
from django.db.models.fields.tuple_lookups import (
    TupleGreaterThan,
    TupleGreaterThanOrEqual,
    TupleLessThan,
    TupleLessThanOrEqual,
)
from django.db.models.functions import Left
from django.utils.dateparse import parse_datetime

from outbox.admin.messages.tabs import EVERYTHING, Scope, Tab, stuck
from outbox.models import Message, Status
from outbox.models.queryset import MessageQuerySet
from outbox.models.sql.order import OrderOfKey, heads_of

ROWS_PER_PAGE = 50
ROWS_READ = 10_000
ROWS_COUNTED = 10_000
BIGGEST_ID = 2**63 - 1

Position = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a tab, where the pages before and after begin, and whether looking stopped too soon."""

    rows: Sequence[Message]
    newer: str = ""
    older: str = ""
    cut_short: bool = False


@dataclass(frozen=True, slots=True)
class BoundedCount:
    """How many rows a tab has, counted no further than ``COUNT``."""

    counted: int
    more: bool


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
    """Return the newest messages whose business id or own id is exactly ``text``, whatever their status."""
    wanted = Q(key=text)
    if text.isascii() and text.isdigit() and int(text) <= BIGGEST_ID:
        wanted |= Q(pk=int(text))
    return Page(list(_light(Message.objects.filter(wanted)).order_by("-id")[:ROWS_PER_PAGE]))


def count_tab(tab: Tab, scope: Scope = EVERYTHING) -> BoundedCount:
    """Count a tab's rows, looking at no more than ``COUNT`` + 1 of them in each of its streams."""
    counted, more = 0, False
    kept = tab.kept(scope)
    columns = ["pk", "status", "resolution", "consumer"] if kept else ["pk"]  # the id alone is in the index
    for stream in tab.streams(scope):
        looked_at = stream.order_by(*tab.order).values(*columns)[: ROWS_COUNTED + 1]
        found = looked_at.aggregate(all=Count("pk"), kept=Count("pk", filter=kept or None))
        counted += found["kept"]
        more = more or found["all"] > ROWS_COUNTED
    return BoundedCount(min(counted, ROWS_COUNTED), more or counted > ROWS_COUNTED)


def heads_before(rows: Sequence[Message]) -> dict[int, int]:
    """Return, by the id of each of ``rows`` that waits for another of its ordering key, the id of that."""
    waiting = {
        row.pk: OrderOfKey(row.consumer, row.ordering_key)
        for row in rows
        if row.ordering_key and row.status == Status.PENDING
    }
    heads = heads_of(set(waiting.values())) if waiting else {}
    return {id: head for id, order in waiting.items() if (head := heads.get(order, id)) < id}


def next_failed(message_id: int, scope: Scope = EVERYTHING) -> int | None:
    """Return the failed message below this one in the queue, else the topmost one; None if no other is left."""
    others = stuck(scope)[0].exclude(pk=message_id).order_by("-id").values_list("pk", flat=True)
    return others.filter(pk__lt=message_id).first() or others.first()


def _walk(tab: Tab, scope: Scope, start: Position | None, *, backwards: bool) -> tuple[list[Position], str]:
    """Return the places of up to ``PAGE`` + 1 rows from ``start`` on, and the cursor where looking stopped early.

    Places alone, as an index holds them: PostgreSQL then takes the index that knows the consumer, and of several
    streams only the rows that are shown are read.
    """
    order = [_turned(name) for name in tab.order] if backwards else list(tab.order)
    kept = tab.kept(scope)
    streams = [stream.filter(_beyond(order, start)) if start else stream for stream in tab.streams(scope)]
    boundary = _boundary(streams, order) if kept else None
    found: list[list[Position]] = []
    for stream in streams:
        within = stream.filter(_up_to(order, boundary)) if boundary else stream
        found.append(list(within.filter(kept).order_by(*order).values_list(*_column_names(order))[: ROWS_PER_PAGE + 1]))
    places = list(merge(*found, reverse=order[0].startswith("-")))[: ROWS_PER_PAGE + 1]
    return places, _encode_cursor(boundary) if boundary and len(places) <= ROWS_PER_PAGE else ""


def _boundary(streams: Sequence[MessageQuerySet], order: Sequence[str]) -> Position | None:
    """Return the place of the row at which looking ends: in each stream the ``LOOK``-th, of those the nearest."""
    ends = [
        end
        for stream in streams
        for end in stream.order_by(*order).values_list(*_column_names(order))[ROWS_READ : ROWS_READ + 1]
    ]
    if not ends:
        return None
    nearest: Position = max(ends) if order[0].startswith("-") else min(ends)
    return nearest


def _read_rows(places: Sequence[Position]) -> list[Message]:
    """Read the rows at these places, whose last part is the id, in the same order."""
    ids = [place[-1] for place in places]
    rows = _light(Message.objects.filter(pk__in=ids)).in_bulk()
    return [rows[id] for id in ids if id in rows]


def _light(rows: MessageQuerySet) -> MessageQuerySet:
    """Leave out what a list does not show, and cut errors short."""
    return rows.defer("payload", "headers", "last_error").annotate(error=Left("last_error", 300))


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


def _turned(name: str) -> str:
    return name.removeprefix("-") if name.startswith("-") else f"-{name}"


def _encode_cursor(position: Position) -> str:
    return "_".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in position)


def _decode_cursor(tab: Tab, cursor: str) -> Position | None:
    """Read a cursor back; None if there is none or it is none of this tab's."""
    *times, last = cursor.split("_")
    if len(times) + 1 != len(tab.order) or not (last.isascii() and last.isdigit()):
        return None
    try:
        moments = [parse_datetime(text) for text in times]
    except ValueError:
        return None
    if any(moment is None or moment.tzinfo is None for moment in moments) or int(last) > BIGGEST_ID:
        return None
    return (*moments, int(last))
