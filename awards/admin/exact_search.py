"""Lists of any size: searched by what an index finds, and paged over the newest rows without counting the table."""

import uuid
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from awards.errors import InvalidPerson
from awards.models import Award, VendorOrder
from awards.persons import identity

ROWS_COUNTED = 10_000
AWARDS_FOUND = 50
"""Awards of one person that the desk's search finds at most."""


class NewestPaginator(Paginator):  # type: ignore[type-arg]  # generic for the type checker only
    """Pages over the newest rows; it counts no further than ``ROWS_COUNTED``, so that its cost has an end."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or ``ROWS_COUNTED`` if there are more."""
        return int(self.object_list[:ROWS_COUNTED].count())  # type: ignore[attr-defined]  # the admin gives a queryset

    @property
    def is_cut_short(self) -> bool:
        """Tell whether there may be more rows than are counted."""
        return self.count >= ROWS_COUNTED


class ExactSearch:
    """A search in which the text in full is looked up as it is stored, in columns that have an index.

    A person is looked up as draws keep them, and what is a UUID as a public id: of the row, or of its award.
    """

    text_columns: tuple[str, ...] = ()
    person_column = ""
    id_column = ""
    """What a UUID is looked up in: ``public_id`` of the row, or that of its ``award``."""

    def get_search_results(
        self, _request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Keep the rows that have the text; all of them if there is none."""
        text = search_term.strip()
        return (queryset.filter(self._matching(text)) if text else queryset), False

    def _matching(self, text: str) -> Q:
        if "\0" in text:
            return Q(pk__in=[])
        found = Q(pk__in=[])
        for column in self.text_columns:
            found |= Q(**{column: text})
        number = _as_uuid(text)
        if number and self.id_column:
            return found | (Q(public_id=number) if self.id_column == "public_id" else _of_award(number))
        return found | Q(**{self.person_column: _as_person(text)}) if self.person_column else found


def _of_award(public_id: uuid.UUID) -> Q:
    """Keep what belongs to the award; it is looked up first, for no index serves a search over two tables."""
    return Q(award=Award.objects.filter(public_id=public_id).values_list("pk", flat=True).first())


def awards_meant_by(text: str) -> list[int]:
    """Return the awards that are meant by a public id, a vendor's order number or a person, the newest first.

    Each is looked up by its index; of a person's awards the latest ``AWARDS_FOUND``.
    """
    if number := _as_uuid(text):
        return list(Award.objects.filter(public_id=number).values_list("pk", flat=True))
    ordered = VendorOrder.objects.filter(number=text).values_list("award_id", flat=True)
    mine = Award.objects.filter(person=_as_person(text)).order_by("-pk").values_list("pk", flat=True)
    return [*ordered, *mine[:AWARDS_FOUND]]


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _as_person(text: str) -> str:
    try:
        return identity(text)
    except InvalidPerson:
        return text
