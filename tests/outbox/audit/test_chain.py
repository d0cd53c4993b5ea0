"""The audit cannot be changed unseen: every entry is sealed with the hash of the one before."""

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.db.utils import DatabaseError

from outbox import audit, operate
from outbox.models import AuditEntry
from tests.harness.desk import wins

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_chain_of_actions_is_whole_and_a_changed_entry_breaks_it_there(lead: User) -> None:
    for key in "123":
        operate.discard(wins.failed(key).pk, revision=0, actor=lead, reason="x")
    first, second, _third = AuditEntry.objects.order_by("id")
    assert audit.verify_chain() is None
    assert second.previous == first.digest

    _vandalise("UPDATE outbox_auditentry SET reason = 'nothing happened' WHERE id = %s", second.pk)

    assert audit.verify_chain() == second


def test_a_removed_entry_breaks_the_chain_at_the_next(lead: User) -> None:
    for key in "123":
        operate.discard(wins.failed(key).pk, revision=0, actor=lead, reason="x")
    _first, second, third = AuditEntry.objects.order_by("id")

    _vandalise("DELETE FROM outbox_auditentry WHERE id = %s", second.pk)

    assert audit.verify_chain() == third


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


def _vandalise(sql: str, id: int) -> None:
    """Do what the owner of the database can do behind everybody's back."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, [id])
