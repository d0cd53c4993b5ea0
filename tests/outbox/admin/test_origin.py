"""From where an action came: the address that called us, or that called the outermost of our own proxies."""

from typing import Any

import pytest
from django.test import Client, RequestFactory

from outbox.models import AuditEntry
from outbox.operate.origin import origin_of
from tests.harness.desk import wins
from tests.outbox.admin.acting import url_of


@pytest.mark.parametrize(
    ("proxies", "forwarded", "origin"),
    [
        (0, "", "10.0.0.1"),
        (0, "203.0.113.9", "10.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (2, "203.0.113.9", "203.0.113.9"),
        (1, "", "10.0.0.1"),
        (1, " , ", "10.0.0.1"),
    ],
)
def test_only_what_our_own_proxies_wrote_is_believed(proxies: int, forwarded: str, origin: str, settings: Any) -> None:
    settings.OUTBOX = {**settings.OUTBOX, **({"PROXIES": proxies} if proxies else {})}
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}

    assert origin_of(RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", **headers)) == origin


@pytest.mark.django_db
def test_the_audit_keeps_who_called_the_proxy(desk: Client, settings: Any) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "PROXIES": 1}
    given = {"act": "retry", "revision": 0, "reason": "mended"}

    desk.post(url_of(wins.failed()), given, headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.9"})

    assert AuditEntry.objects.get().origin == "203.0.113.9"
