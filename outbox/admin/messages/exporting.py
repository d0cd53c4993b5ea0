"""The work queue as a file: CSV, streamed, or a workbook for Excel."""

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib.util import find_spec
from tempfile import NamedTemporaryFile
from typing import IO, Any

from django.db.models.functions import Left
from django.http import FileResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from outbox.admin.messages.tabs import Scope, Tab
from outbox.admin.visible import make_visible
from outbox.models import Resolution, Status
from outbox.policy import Reason

MOST = 200_000
"""Rows of one file at most: the first of the list."""
ERROR_LENGTH = 1_000
"""Characters of an error that are written."""
BATCH = 2_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula; such a text gets an apostrophe before it."""
FORMATS = ("csv", "xlsx")
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Cell = str | int | float | datetime | None


def offered_formats() -> list[str]:
    """Return the formats that can be written here; a workbook takes the package XlsxWriter."""
    return [name for name in FORMATS if name != "xlsx" or find_spec("xlsxwriter")]


def respond(tab: Tab, scope: Scope, *, form: str) -> HttpResponseBase:
    """Return a tab's rows, as it is narrowed down, as a file in one of the ``offered_formats``."""
    name = f"outbox-{tab.slug}-{timezone.now():%Y%m%d-%H%M}.{form}"
    rows = read_rows(tab, scope)
    if form == "xlsx":
        return FileResponse(_workbook(rows), as_attachment=True, filename=name, content_type=WORKBOOK)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(_lines(rows), content_type="text/csv; charset=utf-8", headers=headers)


def read_rows(tab: Tab, scope: Scope) -> Iterator[list[Cell]]:
    """Give the titles of the columns, then a row for each message, in the order of the tab; at most ``MOST``."""
    yield [str(title) for title, _name in _columns()]
    names = [name for _title, name in _columns()]
    words = {
        "status": {value: str(label) for value, label in Status.choices},
        "resolution": {value: str(label) for value, label in Resolution.choices},
        "reason": {value: str(label) for value, label in Reason.choices},
    }
    left = MOST
    for stream in tab.streams(scope):
        found = stream.filter(tab.kept(scope)).annotate(error=Left("last_error", ERROR_LENGTH)).order_by(*tab.order)
        for row in found.values_list(*names)[:left].iterator(chunk_size=BATCH):
            left -= 1
            yield [_cell(words.get(name, {}).get(value, value)) for name, value in zip(names, row, strict=True)]


def _columns() -> list[tuple[str, str]]:
    return [
        (_("message"), "pk"),
        (_("topic"), "topic"),
        (_("business id"), "key"),
        (_("consumer"), "consumer"),
        (_("status"), "status"),
        (_("resolution"), "resolution"),
        (_("why it was given up"), "reason"),
        (_("attempts"), "attempts"),
        (_("value"), "value"),
        (_("currency"), "currency"),
        (_("published"), "created_at"),
        (_("finished"), "finished_at"),
        (_("failure group"), "failure"),
        (_("last error"), "error"),
    ]


def _cell(value: Any) -> Cell:
    """Return a value as a spreadsheet may have it: no text of it is taken for a formula, and none is hidden."""
    match value:
        case None | int() | float():
            return value
        case datetime():
            return timezone.localtime(value).replace(tzinfo=None, microsecond=0) if timezone.is_aware(value) else value
        case str():
            text = make_visible(value)
            return f"'{text}" if text.startswith(FORMULA) else text
        case _:
            return float(value)


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _lines(rows: Iterable[list[Cell]]) -> Iterator[str]:
    yield "\ufeff"  # by which Excel knows UTF-8
    writer = csv.writer(_Echo())
    for row in rows:
        yield writer.writerow(["" if cell is None else cell for cell in row])


def _workbook(rows: Iterable[list[Cell]]) -> IO[bytes]:
    from xlsxwriter import Workbook  # an extra of the package

    file = NamedTemporaryFile(suffix=".xlsx")  # noqa: SIM115  # the response closes it
    book = Workbook(file.name, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet()
    moment, bold = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}), book.add_format({"bold": True})
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            if isinstance(cell, datetime):
                sheet.write_datetime(number, column, cell, moment)
            elif isinstance(cell, str):
                sheet.write_string(number, column, cell, bold if number == 0 else None)
            elif cell is not None:
                sheet.write_number(number, column, cell)
    sheet.freeze_panes(1, 0)
    book.close()
    return file
