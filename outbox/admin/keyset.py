"""Pages by keyset: each begins behind the place of a row, and looks at a bounded part of an index.

A place is what a row is ordered by, its id last. Where looking stops before a page is full, that is said, and the next
page goes on from there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import DateTimeField, F, Q, QuerySet, Value
from django.db.models.fields.tuple_lookups import (
    TupleGreaterThan,
    TupleGreaterThanOrEqual,
    TupleLessThan,
    TupleLessThanOrEqual,
)
from django.utils.dateparse import parse_datetime

from outbox.models.row_ids import read_id
from outbox.models.sql.beside import read_beside
from outbox.models.sql.clock import as_moment

Place = tuple[Any, ...]
Streams = Sequence["QuerySet[Any, Any]"]
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Turned(Generic[Row]):
    """A page: its rows, the cursors of the pages before and after, empty for none, and whether looking stopped early.

    ``backwards`` is whether that was on the way to the page before; so it goes on there.
    """

    rows: Sequence[Row]
    newer: str = ""
    older: str = ""
    cut_short: bool = False
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Walk(Generic[Row]):
    """What is walked through: streams of rows, each in the order of one index, and what is ``kept`` of them.

    ``read`` gives the rows of all streams, ``place`` the place of a row. A page has ``per_page`` rows, and looks at no
    more than ``most`` of a stream.
    """

    streams: Streams
    order: tuple[str, ...]
    kept: Q
    read: Callable[[Streams], list[Row]]
    place: Callable[[Row], Place]
    per_page: int
    most: int

    def page(self, *, after: str = "", before: str = "") -> Turned[Row]:
        """Return the page that follows the cursor ``after``, or the one that ends before the cursor ``before``."""
        start = decode_cursor(self.order, before or after)
        if before and start:
            found, stopped = self._walk(start, backwards=True)
            if len(found) > self.per_page or stopped:
                shown = found[: self.per_page][::-1]
                newer = self._cursor(shown[0]) if len(found) > self.per_page else stopped
                older = self._cursor(shown[-1]) if shown else before
                return Turned(shown, newer, older, bool(stopped), backwards=True)
            start = None  # the beginning was reached: show a full first page
        found, stopped = self._walk(start, backwards=False)
        shown = found[: self.per_page]
        newest = _encode_cursor(self.place(shown[0]) if shown else start) if start else ""
        older = self._cursor(shown[-1]) if len(found) > self.per_page else stopped
        return Turned(shown, newest, older, bool(stopped))

    def _walk(self, start: Place | None, *, backwards: bool) -> tuple[list[Row], str]:
        """Return a page's rows, and one more, from ``start`` on, and the cursor where looking stopped early."""
        order = [turn(name) for name in self.order] if backwards else list(self.order)
        streams = [stream.filter(_beyond(order, start)) if start else stream for stream in self.streams]
        boundary = self._boundary(streams, order) if self.kept else None
        within = [stream.filter(_up_to(order, boundary)) for stream in streams] if boundary else streams
        found = self.read([stream.filter(self.kept).order_by(*order)[: self.per_page + 1] for stream in within])
        rows = sorted(found, key=self.place, reverse=order[0].startswith("-"))[: self.per_page + 1]
        return rows, _encode_cursor(boundary) if boundary and len(rows) <= self.per_page else ""

    def _boundary(self, streams: Streams, order: Sequence[str]) -> Place | None:
        """Return the place of the row at which looking ends: in each stream the one after ``most``, the nearest."""
        ends = read_places([stream.order_by(*order)[self.most : self.most + 1] for stream in streams], order)
        if not ends:
            return None
        return max(ends) if order[0].startswith("-") else min(ends)

    def _cursor(self, row: Row) -> str:
        return _encode_cursor(self.place(row))


def turn(name: str) -> str:
    """Return the name of a column in ``order_by`` turned round."""
    return name.removeprefix("-") if name.startswith("-") else f"-{name}"


def read_places(streams: Streams, order: Sequence[str]) -> list[Place]:
    """Return the places of the rows of all streams by one statement, which an index alone can answer."""
    names = _column_names(order)
    rows = read_beside([stream.values_list(*names) for stream in streams])
    return [tuple(part if isinstance(part, int) else as_moment(part) for part in row) for row in rows]


def decode_cursor(order: Sequence[str], cursor: str) -> Place | None:
    """Read the place back that a cursor of this order stands for; None if there is none, or it is no such cursor."""
    *times, last = cursor.split("_")
    place = (*map(read_moment, times), read_id(last))
    return None if len(place) != len(order) or None in place else place


def read_moment(text: str) -> datetime | None:
    """Read a moment out of an address; None if it is none, or has no zone."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _encode_cursor(place: Place) -> str:
    return "_".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in place)


def _beyond(order: Sequence[str], place: Place) -> Any:
    compare = TupleLessThan if order[0].startswith("-") else TupleGreaterThan
    return compare(_columns(order), _as_values(place))


def _up_to(order: Sequence[str], place: Place) -> Any:
    compare = TupleGreaterThanOrEqual if order[0].startswith("-") else TupleLessThanOrEqual
    return compare(_columns(order), _as_values(place))


def _columns(order: Sequence[str]) -> tuple[F, ...]:
    return tuple(F(name) for name in _column_names(order))


def _column_names(order: Sequence[str]) -> list[str]:
    return [name.lstrip("-") for name in order]


def _as_values(place: Place) -> tuple[Any, ...]:
    return tuple(Value(part, output_field=DateTimeField()) if isinstance(part, datetime) else part for part in place)
