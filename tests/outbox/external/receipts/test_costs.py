"""What waits for a receipt stands in nobody's way: a hundred thousand such rows, and the search for what is due."""

import pytest
from django.db import connection

from outbox.delivery import starting
from outbox.maintenance import recovery
from outbox.memory import forget_all
from outbox.models import Message
from tests.harness.messages import publish_messages
from tests.harness.plans import pages_touched, query
from tests.outbox.external.receipts.conftest import NAME, RECEIPT, confirm, start

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched")]

MANY = 100_000


def copy(id: int, many: int) -> None:
    """Write many rows like this one."""
    names = [field.column for field in Message._meta.concrete_fields if field.column not in ("id", "key", "drawn_key")]
    columns = ", ".join(f'"{name}"' for name in names)
    query(
        f"INSERT INTO outbox_message (key, {columns}) SELECT 'copy ' || number, {columns} "
        "FROM outbox_message, generate_series(1, %s) AS number WHERE id = %s",
        many,
        id,
    )
    connection.close()


def test_a_hundred_thousand_rows_that_wait_for_receipts_slow_no_search(awaiting):
    entry = awaiting()
    publish_messages(50)
    query("VACUUM ANALYZE outbox_message")
    alone = pages_touched(lambda: starting.start_due(entry))
    waiting = publish_messages(1)[0]
    start(waiting)
    confirm(waiting)
    copy(waiting, MANY)
    publish_messages(50)
    query("VACUUM ANALYZE outbox_message")
    forget_all()

    among_many = pages_touched(lambda: starting.start_due(entry))
    brought_back = pages_touched(lambda: recovery.search([NAME]))

    assert Message.objects.filter(status="started", worker="").count() == MANY + 1
    assert RECEIPT
    # Each of the fifty that are started costs some pages, deeper indexes a few more; to read all others is thousands.
    assert among_many < alone + 1_000
    assert brought_back < 200
