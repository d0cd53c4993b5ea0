"""Somebody who may edit payloads."""

import pytest
from django.test import Client

from tests.harness.desk import user
from tests.outbox.admin.messages.editing import MAY


@pytest.fixture
def editor(client: Client) -> Client:
    client.force_login(user("edna", *MAY))
    return client
