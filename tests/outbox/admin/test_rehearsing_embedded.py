"""On SQLite nothing can be rehearsed, and the button says so; on PostgreSQL it begins a rehearsal."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from outbox import consumer, registry
from outbox.models import BulkRehearsal
from tests.harness.bulk import prepared
from tests.harness.desk import ISSUE, TOPIC, page_of, text_of, user, wins

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_button_is_disabled_with_the_reason_where_nothing_can_be_rehearsed(client: Client, lead: User) -> None:
    registry.forget_consumer(ISSUE)
    consumer(TOPIC, name=ISSUE, rehearsable=True)(lambda _message: None)
    wins.failed()
    operation = prepared()
    client.force_login(user("nora", "view_message", "view_bulkoperation", "retry_message", "bulk_message"))

    page = client.get(page_of(operation))
    client.post(page_of(operation), {"act": "rehearse"})

    is_possible = connection.vendor == "postgresql"
    assert ("A rehearsal needs PostgreSQL" in text_of(page)) is not is_possible
    assert ('disabled aria-describedby="desk-rehearsal-refusal"' in page.text) is not is_possible
    assert BulkRehearsal.objects.exists() is is_possible
