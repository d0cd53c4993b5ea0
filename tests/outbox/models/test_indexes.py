"""Each index that is written with a row is one that something is looked up by."""

from django.apps import apps
from django.db.models import Field, UniqueConstraint


def test_no_foreign_key_has_an_index_of_its_own_where_another_begins_with_it() -> None:
    twice: list[Field] = []  # type: ignore[type-arg]  # generic for the type checker only
    for model in apps.get_app_config("outbox").get_models():
        unique = [each for each in model._meta.constraints if isinstance(each, UniqueConstraint)]
        first = {each.fields[0] for each in (*unique, *model._meta.indexes) if each.fields and each.condition is None}
        twice += [
            field
            for field in model._meta.local_fields
            if field.remote_field and field.db_index and not field.unique and field.name in first
        ]

    assert twice == []
