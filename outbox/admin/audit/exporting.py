"""The audit as a file: which columns it has, and its rows."""

import json
from collections.abc import Iterator
from typing import Any

from django.http import HttpResponseBase
from django.utils.translation import gettext as _

from outbox.admin import sheets
from outbox.admin.audit import listing
from outbox.admin.audit.filters import Filters
from outbox.admin.audit.words import acts_in_words
from outbox.admin.sheets import Cell, Column, as_moment, as_number, as_text, as_word
from outbox.models import AuditEntry


def respond(filters: Filters, form: str) -> HttpResponseBase:
    """Return the entries, as the audit is narrowed down, as a file in one of the formats that are offered."""
    columns = columns_of_audit()
    return sheets.respond("audit", columns, _rows(filters, [column.name for column in columns]), form=form)


def columns_of_audit() -> list[Column]:
    """Return the columns, in the reader's language; the last are what the chain is checked by."""
    return [
        Column(_("entry"), "pk", as_number),
        Column(_("when"), "at", as_moment()),
        Column(_("who"), "actor", as_text),
        Column(_("from where"), "origin", as_text),
        Column(_("act"), "action", as_word(acts_in_words())),
        Column(_("message"), "message_id", as_number),
        Column(_("on what"), "subject", as_text),
        Column(_("before"), "before", _as_json),
        Column(_("after"), "after", _as_json),
        Column(_("reason"), "reason", as_text),
        Column(_("texts"), "salt", _as_erased),
        Column(_("hash"), "digest", as_text),
    ]


def _rows(filters: Filters, names: list[str]) -> Iterator[tuple[object, ...]]:
    """Give the entries that are there now; the note of the export itself is none of them."""
    newest = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    found = listing.every_entry(filters).filter(pk__lte=newest).values_list(*names)[: sheets.MOST]
    return found.iterator(chunk_size=sheets.BATCH)


def _as_json(value: Any) -> Cell:
    return as_text(json.dumps(value, ensure_ascii=False)) if value else ""


def _as_erased(salt: str) -> Cell:
    """Say that the texts of an entry were erased: its salt went with them."""
    return "" if salt else _("erased")
