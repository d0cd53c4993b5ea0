"""A statement that misses tables or columns of the outbox says what to do; one that misses another's does not."""

import pytest
from django.db import DatabaseError, connections, transaction

from outbox.conf import conf
from outbox.models.sql.errors import advise_to_migrate, missing_tables_named

pytestmark = pytest.mark.django_db


def notes_of(statement: str) -> list[str]:
    """Return what is added to the error of a statement, where two look who may add something."""
    alias = conf().database
    with (
        pytest.raises(DatabaseError) as raised,
        missing_tables_named(),
        missing_tables_named(),
        transaction.atomic(using=alias),
        connections[alias].cursor() as cursor,
    ):
        cursor.execute(statement)
    return list(getattr(raised.value, "__notes__", []))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM outbox_nothing",
        "SELECT added_later FROM outbox_message",
        "UPDATE outbox_message SET added_later = 1",
    ],
)
def test_what_is_missing_of_the_outbox_is_named_once_with_the_command_that_makes_it(statement):
    assert notes_of(statement) == [advise_to_migrate()]


def test_a_missing_table_of_a_handler_is_not_taken_for_one_of_the_outbox():
    assert notes_of("SELECT 1 FROM shop_nothing") == []
