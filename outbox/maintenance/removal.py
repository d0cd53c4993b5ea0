"""Removing old rows: quickly where nothing of the host's hangs on them, otherwise by the rules of Django.

A host's own model may have a foreign key to ours. Then its ``on_delete`` decides what becomes of its rows, and a row of
ours that it protects is kept.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import IntegrityError, connections, models, transaction
from django.db.models import Exists, OuterRef, ProtectedError, QuerySet, RestrictedError
from django.db.models.fields.reverse_related import ForeignObjectRel

from outbox.conf import conf

Refused = (ProtectedError, RestrictedError, IntegrityError)


def host_relations(*ours: type[models.Model]) -> list[ForeignObjectRel]:
    """Return the foreign keys of other apps' models to these of ours."""
    return [relation for model in ours for relation in _relations_to(model)]


def _relations_to(model: type[models.Model]) -> Iterator[ForeignObjectRel]:
    for field in model._meta.get_fields(include_hidden=True):
        if not isinstance(field, ForeignObjectRel) or not (field.one_to_many or field.one_to_one):
            continue
        theirs: Any = field.related_model
        if theirs._meta.app_label != model._meta.app_label:
            yield field


def protected(model: type[models.Model]) -> Any:
    """Return the condition under which a host's PROTECT keeps a row of ours; None if there is no such key."""
    found: Any = None
    for relation in host_relations(model):
        if relation.on_delete is models.PROTECT:
            theirs_model: Any = relation.related_model
            rows = theirs_model._base_manager.using(conf().database)
            theirs = Exists(rows.filter(**{relation.field.name: OuterRef("pk")}))
            found = theirs if found is None else found | theirs
    return found


def remove_by_rules(rows: "QuerySet[Any]", ids: Sequence[Any]) -> list[Any]:
    """Delete these of the rows as ``delete()`` does; return the ids that something else protects, which are kept.

    Halves what is refused, so that one protected row costs a few tries and keeps no other.
    """
    if not ids:
        return []
    try:
        with transaction.atomic(using=rows.db):
            rows.filter(pk__in=ids).only("pk").delete()
            if connections[rows.db].vendor == "postgresql":
                # What DO_NOTHING leaves to the database would else fail at COMMIT, and take the batch with it.
                connections[rows.db].check_constraints()
    except Refused:
        if len(ids) == 1:
            return list(ids)
        middle = len(ids) // 2
        return [*remove_by_rules(rows, ids[:middle]), *remove_by_rules(rows, ids[middle:])]
    return []
