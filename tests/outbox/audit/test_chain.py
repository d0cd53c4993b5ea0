"""The audit cannot be changed unseen: every entry is sealed with the hash of the one before."""

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.db.utils import DatabaseError

from outbox import audit, operate
from outbox.models import AuditEntry
from tests.harness.clock import HOUR
from tests.harness.desk import wins
from tests.outbox.audit.entries import append_actions, as_its_owner
from tests.outbox.audit.tampering import TAMPERINGS, WHERE, spread_out

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAGE", 3)


def test_a_chain_of_actions_is_whole_and_each_follows_the_one_before(lead: User) -> None:
    for key in "1234567":
        operate.discard(wins.failed(key).pk, revision=0, actor=lead, reason="x")
    entries = list(AuditEntry.objects.order_by("id"))

    assert audit.verify_chain() is None
    assert [entry.previous for entry in entries[1:]] == [entry.digest for entry in entries[:-1]]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("how", TAMPERINGS)
def test_whatever_is_done_to_it_wherever_breaks_it_there(how: str, where: str) -> None:
    ids = spread_out(append_actions(*[HOUR] * 7))
    assert audit.verify_chain() is None

    broken = TAMPERINGS[how](ids, WHERE[where])

    assert audit.verify_chain() == broken


@pytest.mark.parametrize("column", ["at", "actor", "origin", "action", "message_id", "subject", "reason", "before"])
def test_no_column_can_be_changed_unseen(column: str) -> None:
    _first, second, _third = append_actions(*[HOUR] * 3)
    values = {"at": "'2001-01-01'", "message_id": "8", "before": """'{"status": "failed"}'"""}

    as_its_owner(f"UPDATE outbox_auditentry SET {column} = {values.get(column, repr('other'))} WHERE id = {second}")

    assert audit.verify_chain() == second


@pytest.mark.services
@pytest.mark.parametrize("change", [lambda rows: rows.update(reason="other"), lambda rows: rows.delete()])
def test_postgresql_refuses_to_change_the_audit(change, lead: User) -> None:
    operate.discard(wins.failed().pk, revision=0, actor=lead, reason="x")

    with pytest.raises(DatabaseError, match="append-only"):
        change(AuditEntry.objects.all())

    assert AuditEntry.objects.get().reason == "x"


def test_actions_at_the_same_time_never_fork_the_chain(lead: User) -> None:
    ids = [wins.failed(str(key)).pk for key in range(8)]

    def discard(id: int) -> None:
        operate.discard(id, revision=0, actor=lead, reason="x")
        connections.close_all()

    threads = [threading.Thread(target=discard, args=(id,)) for id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert AuditEntry.objects.count() == 8
    assert audit.verify_chain() is None
