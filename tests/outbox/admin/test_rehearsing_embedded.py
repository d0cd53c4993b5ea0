"""On SQLite nothing can be rehearsed, and the button says so."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from outbox import registry
from outbox.models import BulkRehearsal
from tests.harness.bulk import prepared
from tests.harness.desk import ISSUE, TOPIC, page_of, text_of, user, wins

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.skipif(connection.vendor == "postgresql", reason="there it can be")
def test_the_button_is_disabled_with_the_reason(client: Client, lead: User) -> None:
    registry.forget_consumer(ISSUE)
    registry.consumer(TOPIC, name=ISSUE, rehearsable=True)(lambda _message: None)
    wins.failed()
    operation = prepared()
    client.force_login(user("nora", "view_message", "view_bulkoperation", "retry_message", "bulk_message"))

    page = client.get(page_of(operation))
    client.post(page_of(operation), {"act": "rehearse"})

    assert "A rehearsal needs PostgreSQL" in text_of(page)
    assert 'disabled aria-describedby="desk-rehearsal-refusal"' in page.text
    assert not BulkRehearsal.objects.exists()
