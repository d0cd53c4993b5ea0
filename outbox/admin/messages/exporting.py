"""The work queue as a file: which columns it has, and its rows."""

from collections.abc import Iterator

from django.db.models.functions import Left
from django.http import HttpResponseBase
from django.utils.translation import gettext as _

from outbox.admin import sheets
from outbox.admin.messages.tabs import Scope, Tab
from outbox.admin.sheets import Column, as_moment, as_number, as_text, as_word
from outbox.models import Resolution, Status
from outbox.policy import Reason

ERROR_LENGTH = 1_000
"""Characters of an error that are written."""


def respond(tab: Tab, scope: Scope, form: str) -> HttpResponseBase:
    """Return a tab's rows, as it is narrowed down, as a file in one of the formats that are offered."""
    columns = columns_of_queue()
    return sheets.respond(tab.slug, columns, _rows(tab, scope, [column.name for column in columns]), form=form)


def columns_of_queue() -> list[Column]:
    """Return the columns, in the reader's language."""
    when = as_moment()
    return [
        Column(_("message"), "pk", as_number),
        Column(_("topic"), "topic", as_text),
        Column(_("business id"), "key", as_text),
        Column(_("consumer"), "consumer", as_text),
        Column(_("status"), "status", as_word({value: str(label) for value, label in Status.choices})),
        Column(_("resolution"), "resolution", as_word({value: str(label) for value, label in Resolution.choices})),
        Column(_("why it was given up"), "reason", as_word({value: str(label) for value, label in Reason.choices})),
        Column(_("attempts"), "attempts", as_number),
        Column(_("value"), "value", as_number),
        Column(_("currency"), "currency", as_text),
        Column(_("published"), "created_at", when),
        Column(_("finished"), "finished_at", when),
        Column(_("failure group"), "failure", as_text),
        Column(_("last error"), "error", as_text),
    ]


def _rows(tab: Tab, scope: Scope, names: list[str]) -> Iterator[tuple[object, ...]]:
    """Give the rows of each stream in the order of the tab."""
    for stream in tab.rows(scope):
        found = stream.filter(tab.kept(scope)).annotate(error=Left("last_error", ERROR_LENGTH)).order_by(*tab.order)
        yield from found.values_list(*names)[: sheets.MOST].iterator(chunk_size=sheets.BATCH)
