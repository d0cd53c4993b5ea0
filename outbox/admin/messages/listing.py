"""The work queue's rows: pages by keyset.

No page reads more than ``ROWS_READ`` rows of an index, however large the table is and however rare what it looks for.
Where a page stops for that reason it says so, and its "next" goes on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from django.db.models import Q
from django.db.models.functions import Left

from outbox.admin import finders, keyset
from outbox.admin.messages.tabs import EVERYTHING, FAILED, Scope, Tab, find_tab
from outbox.external.sequences.explaining import find_by_number
from outbox.models import Evidence, Message, Status
from outbox.models.queryset import MessageQuerySet
from outbox.models.row_ids import read_id
from outbox.models.sql.order import OrderOfKey, heads_of

ROWS_PER_PAGE = 50
ROWS_READ = 10_000


@dataclass(frozen=True, slots=True)
class Page(keyset.Turned[Message]):
    """Some rows of a tab, or what a search has found."""

    finder_failed: bool = False


def read_page(tab: Tab, scope: Scope = EVERYTHING, *, after: str = "", before: str = "") -> Page:
    """Return the page that follows the cursor ``after``, or the one that ends before the cursor ``before``.

    Only the rows that are shown are read.
    """
    turned = _walk(tab, scope, per_page=ROWS_PER_PAGE).page(after=after, before=before)
    rows = _read_rows(turned.rows)
    return Page(rows, turned.newer, turned.older, turned.cut_short, backwards=turned.backwards)


def search_messages(text: str) -> Page:
    """Return the newest messages that ``text`` means, whatever their status.

    It is a business id, an id of ours or an evidence, in full, or what the project's finders take it for; or a number
    that it was sent under, as ``shop.orders/order.paid#17``.
    """
    if "\0" in text:
        return Page([])
    id = read_id(text)
    proved = list(Evidence.objects.saying(text).order_by("-id").values_list("message_id", flat=True)[:ROWS_PER_PAGE])
    proved += find_by_number(text)
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
    walk = _walk(find_tab(FAILED.slug, turned=turned), scope, per_page=2)
    below = walk.page(after=str(message_id)).rows
    others = [id for (id,) in below or walk.page().rows if id != message_id]
    return others[0] if others else None


def _walk(tab: Tab, scope: Scope, *, per_page: int) -> keyset.Walk[keyset.Place]:
    """Return the walk through a tab: by places alone, as then PostgreSQL takes the index that knows the consumer."""
    return keyset.Walk(
        streams=tab.rows(scope),
        order=tab.order,
        kept=tab.kept(scope),
        read=partial(keyset.read_places, order=tab.order),
        place=tuple,
        per_page=per_page,
        most=ROWS_READ,
    )


def _read_rows(places: Sequence[keyset.Place]) -> list[Message]:
    """Read the rows at these places, whose last part is the id, in the same order."""
    ids = [place[-1] for place in places]
    rows = _light(Message.objects.filter(pk__in=ids)).in_bulk()
    return [rows[id] for id in ids if id in rows]


def _light(rows: MessageQuerySet) -> MessageQuerySet:
    """Leave out what a list does not show, and cut errors short."""
    shown = rows.select_related("note").defer("payload", "headers", "last_error", "note__text")
    return shown.annotate(error=Left("last_error", 300))


def is_cursor(tab: Tab, text: str) -> bool:
    """Tell whether a page of the tab begins or ends there."""
    return keyset.decode_cursor(tab.order, text) is not None
