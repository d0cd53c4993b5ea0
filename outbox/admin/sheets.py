"""A list of the desk as a file: CSV, streamed, or a workbook for Excel.

What a column's values need is decided once a column, not once a cell: a file has a million cells and more.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from itertools import islice
from tempfile import NamedTemporaryFile
from typing import IO, Any

from django.http import FileResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone

from outbox.admin.visible import make_visible

MOST = 200_000
"""Rows of one file at most: the first of the list."""
BATCH = 2_000
"""Rows that are read, and sent, at once."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula; such a text gets an apostrophe before it."""
FORMATS = ("csv", "xlsx")
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Cell = str | int | float | datetime | None
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, where its values come from, and how each is written, unless it is none."""

    title: str
    name: str
    write: Callable[[Any], Cell]


def offered_formats() -> list[str]:
    """Return the formats that can be written here; a workbook takes the package XlsxWriter."""
    return [name for name in FORMATS if name != "xlsx" or find_spec("xlsxwriter")]


def respond(name: str, columns: Sequence[Column], rows: Iterable[Row], *, form: str) -> HttpResponseBase:
    """Return the rows, at most ``MOST``, as a file of that name in one of the ``offered_formats``.

    A row has a value for each of the columns.
    """
    file_name = f"outbox-{name}-{timezone.now():%Y%m%d-%H%M}.{form}"
    cells = written(columns, islice(rows, MOST))
    titles = [column.title for column in columns]
    if form == "xlsx":
        file = make_workbook(titles, cells)
        return FileResponse(file, as_attachment=True, filename=file_name, content_type=WORKBOOK)
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(make_lines(titles, cells), content_type="text/csv; charset=utf-8", headers=headers)


def written(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[list[Cell]]:
    """Give the rows as a file has them."""
    writers = [column.write for column in columns]
    for row in rows:
        yield [None if value is None else write(value) for write, value in zip(writers, row, strict=True)]


def as_number(value: Any) -> Cell:
    """Write a number; a spreadsheet knows no other than these."""
    return value if isinstance(value, int) else float(value)


def as_text(value: str) -> Cell:
    """Write a text so that no part of it is taken for a formula, and none is hidden."""
    text = value if value.isprintable() else make_visible(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def as_word(words: Mapping[str, str]) -> Callable[[str], Cell]:
    """Return what writes a value of the code's own in words."""
    return lambda value: words.get(value) or as_text(value)


def as_moment() -> Callable[[datetime], Cell]:
    """Return what writes moments in the time zone of this moment, to the second: a spreadsheet knows no zones."""
    zone = timezone.get_current_timezone()

    def write(at: datetime) -> Cell:
        return (at.astimezone(zone) if at.tzinfo else at).replace(tzinfo=None, microsecond=0)

    return write


def make_lines(titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Give the lines of a CSV file, many at once."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    lines.write("\ufeff")  # by which Excel knows UTF-8
    writer.writerow(titles)
    left = iter(rows)
    while True:
        writer.writerows(islice(left, BATCH))
        if not lines.tell():
            return
        yield lines.getvalue()
        lines.seek(0)
        lines.truncate()


def csv_lines(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Give the lines of a CSV file of texts, many at once. No text is taken for a formula, and none is hidden."""
    return make_lines(titles, ([as_text(text) for text in row] for row in rows))


def make_workbook(titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> IO[bytes]:
    """Return a workbook as an open file, which is gone when it is closed."""
    from xlsxwriter import Workbook  # an extra of the package

    file = NamedTemporaryFile(suffix=".xlsx")  # noqa: SIM115  # the response closes it
    book = Workbook(file.name, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet()
    moment, bold = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}), book.add_format({"bold": True})
    for column, title in enumerate(titles):
        sheet.write_string(0, column, title, bold)
    for number, row in enumerate(rows, start=1):
        for column, cell in enumerate(row):
            if cell is None or cell == "":
                continue
            if isinstance(cell, str):
                sheet.write_string(number, column, cell)
            elif isinstance(cell, datetime):
                sheet.write_datetime(number, column, cell, moment)
            else:
                sheet.write_number(number, column, cell)
    sheet.freeze_panes(1, 0)
    book.close()
    return file
