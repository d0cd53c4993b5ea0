"""The three doors for machines, and who may see what."""

from typing import Any
from unittest import mock

import pytest
from django.core.handlers.base import BaseHandler
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections
from django.test import Client
from django.urls import resolve

from outbox.monitoring.outside_transactions import in_no_transaction
from tests.harness.clock import SECOND
from tests.harness.rows import all_is_well, rescanned

DOORS = ["/healthz", "/readyz", "/metrics"]
FAR = "203.0.113.9"
NEVER = "The rescan has never succeeded."


@pytest.fixture
def far() -> Client:
    """Somebody on another machine."""
    return Client(REMOTE_ADDR=FAR)


def with_token(token: str) -> Client:
    return Client(REMOTE_ADDR=FAR, headers={"Authorization": f"Bearer {token}"})


def test_the_process_says_that_it_is_alive_without_asking_the_database(far):
    # No database is allowed in this test at all.
    answer = far.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.parametrize("path", DOORS)
def test_no_transaction_of_the_host_s_is_around_a_door_on_any_database(path):
    assert resolve(path).func._non_atomic_requests == set(connections)


def test_a_database_beside_the_engine_s_is_asked_for_no_transaction_either(monkeypatch):
    other = {**connections.settings[DEFAULT_DB_ALIAS], "ATOMIC_REQUESTS": True}
    monkeypatch.setitem(connections.settings, "other", other)

    view = in_no_transaction(lambda request: request)

    assert BaseHandler().make_view_atomic(view) is view


@pytest.mark.django_db
def test_ready_answers_200_and_unready_503_with_the_reasons(client):
    before = client.get("/readyz")
    rescanned()
    after = client.get("/readyz")
    rescanned(16 * SECOND)
    late = client.get("/readyz")

    assert (before.status_code, before.json()["reasons"][0]) == (503, NEVER)
    assert (after.status_code, after.json()) == (200, {"ready": True, "reasons": []})
    assert late.status_code == 503


@pytest.mark.django_db
def test_strangers_are_told_whether_it_is_ready_and_not_why_not(far):
    answer = far.get("/readyz")

    assert (answer.status_code, answer.json()) == (503, {"ready": False})


def test_a_database_that_does_not_answer_is_a_reason_and_no_crash(client):
    with mock.patch("outbox.monitoring.health.MigrationExecutor", side_effect=OperationalError("refused")):
        answer = client.get("/readyz")

    reasons = ["The database does not answer (refused)."]
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "reasons": reasons})


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
def test_tables_that_are_missing_are_no_database_that_is_away(client, path):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE outbox_heartbeat RENAME TO moved_away")

    answer = client.get(path)

    assert answer.status_code == 503
    assert "run manage.py migrate outbox" in answer.content.decode()


def test_without_a_database_there_are_no_metrics_and_no_crash(client):
    with mock.patch("outbox.monitoring.health.measure", side_effect=OperationalError("refused")):
        assert client.get("/metrics").status_code == 503


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1"])
def test_without_a_token_this_machine_sees_everything(address):
    all_is_well()
    here = Client(REMOTE_ADDR=address)

    assert here.get("/metrics").status_code == 200
    assert here.get("/readyz").json() == {"ready": True, "reasons": []}


@pytest.mark.parametrize("address", [FAR, "10.0.0.1", "", "no address", "::ffff:203.0.113.9"])
def test_without_a_token_other_machines_see_nothing(address):
    assert Client(REMOTE_ADDR=address).get("/metrics").status_code == 403


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_what_a_proxy_on_this_machine_has_forwarded_does_not_come_from_this_machine(client, header):
    assert client.get("/metrics", headers={header: "127.0.0.1"}).status_code == 403


@pytest.mark.django_db
def test_with_a_token_it_alone_decides(configure):
    configure(METRICS_TOKEN="open sesame")

    assert with_token("open sesame").get("/metrics").status_code == 200
    assert with_token("open sesame").get("/readyz").json()["reasons"][0] == NEVER
    for wrong in ("", "open", "open sesame ", "Open sesame", "offen ßesam"):
        assert with_token(wrong).get("/metrics").status_code == 403
    assert Client(REMOTE_ADDR="127.0.0.1").get("/metrics").status_code == 403


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_machines_may_look_and_do_nothing_and_are_told_which_methods_there_are(door: str, method: str):
    # As browsers meet it: a machine has no token to show, and needs none to be told that it may not.
    answer = getattr(Client(enforce_csrf_checks=True), method)(door)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.django_db
@pytest.mark.parametrize("door", DOORS)
def test_no_answer_is_kept_by_a_cache(client: Client, door: str):
    assert "no-store" in client.get(door).headers["Cache-Control"]


@pytest.mark.django_db
def test_the_metrics_are_text_as_prometheus_reads_it(client: Any):
    answer = client.get("/metrics")

    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# TYPE outbox_rescan_age_seconds gauge" in answer.content
