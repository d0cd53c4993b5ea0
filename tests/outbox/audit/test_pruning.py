"""Old audit entries may go, from the beginning on, and the chain itself proves that nothing else is missing."""

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from outbox import audit
from outbox.maintenance.pruning import prune
from outbox.models import AuditEntry
from tests.harness.clock import DAY, HOUR
from tests.outbox.audit.entries import YEAR, append_actions, as_its_owner

pytestmark = pytest.mark.usefixtures("transactional_db")


def left() -> list[int]:
    return list(AuditEntry.objects.order_by("id").values_list("pk", flat=True))


def test_without_a_setting_the_audit_is_kept_for_ever():
    old = append_actions(40 * YEAR, HOUR)

    prune()

    assert left() == old


def test_what_is_too_old_goes_and_the_newest_entry_says_what_it_was(configure: Any):
    configure(KEEP_AUDIT=YEAR)
    first, second, third = append_actions(YEAR + 2 * DAY, YEAR + HOUR, YEAR - HOUR)
    last = AuditEntry.objects.get(pk=second)

    prune()

    kept, note = AuditEntry.objects.order_by("id")
    assert (kept.pk, kept.previous) == (third, last.digest)
    assert (note.actor, note.action, note.subject, note.reason) == ("outbox", "prune", "audit", "older than 365 days")
    assert note.before == {
        "entries": 2,
        "last_id": second,
        "last_at": last.at.isoformat(),
        "last_hash": last.digest,
    }
    assert first < second
    assert audit.verify_chain() is None


def test_the_chain_is_whole_when_everything_went(configure: Any):
    configure(KEEP_AUDIT=YEAR)
    append_actions(2 * YEAR, 2 * YEAR)

    prune()

    assert [entry.action for entry in AuditEntry.objects.all()] == ["prune"]
    assert audit.verify_chain() is None


def test_it_goes_by_the_day_so_that_the_notes_stay_few(configure: Any):
    configure(KEEP_AUDIT=YEAR)
    kept = append_actions(YEAR + 23 * HOUR, YEAR + HOUR, HOUR)

    prune()

    assert left() == kept


def test_the_notes_themselves_grow_old_and_go(configure: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audit, "ENTRY_BATCH", 2)
    append_actions(*[3 * YEAR] * 5, HOUR)

    counts = [audit.prune_entries(older_than=YEAR) for _ in range(4)]

    assert counts == [2, 2, 1, 0]
    assert AuditEntry.objects.filter(action="prune").count() == 3
    assert audit.verify_chain() is None


def test_only_the_beginning_goes_although_a_clock_was_set_back(configure: Any):
    configure(KEEP_AUDIT=YEAR)
    _gone, *kept = append_actions(2 * YEAR, HOUR, 2 * YEAR)

    prune()

    assert left()[:2] == kept
    assert audit.verify_chain() is None


@pytest.mark.parametrize("further", [0, 1], ids=["the first that was left", "the first two that were left"])
def test_whoever_removes_more_than_was_noted_is_found_out(configure: Any, further: int):
    configure(KEEP_AUDIT=YEAR)
    _gone, *kept = append_actions(2 * YEAR, 3 * HOUR, 2 * HOUR, HOUR)
    prune()

    as_its_owner(f"DELETE FROM outbox_auditentry WHERE id BETWEEN {kept[0]} AND {kept[further]}")

    assert audit.verify_chain() == kept[further + 1]


def test_a_beginning_removed_without_a_note_is_found_out():
    first, second = append_actions(2 * HOUR, HOUR)

    as_its_owner(f"DELETE FROM outbox_auditentry WHERE id = {first}")

    assert audit.verify_chain() == second


def test_a_note_that_was_changed_is_found_out(configure: Any):
    configure(KEEP_AUDIT=YEAR)
    append_actions(2 * YEAR, HOUR)
    prune()

    as_its_owner("UPDATE outbox_auditentry SET reason = 'tidied up' WHERE action = 'prune'")

    broken = audit.verify_chain()
    assert AuditEntry.objects.get(pk=broken).action == "prune"


@pytest.mark.services
def test_the_trigger_lets_go_what_was_named_and_nothing_else():
    first, second = append_actions(2 * HOUR, HOUR)

    with refused(second):
        name_and_run(first, "DELETE FROM outbox_auditentry")
    with refused(first):
        AuditEntry.objects.filter(pk=first).delete()

    assert left() == [first, second]


@pytest.mark.services
def test_naming_an_entry_lets_nobody_change_it():
    (first,) = append_actions(HOUR)

    with refused(first):
        name_and_run(first, "UPDATE outbox_auditentry SET reason = 'something else'")


@pytest.mark.services
def test_after_pruning_the_same_transaction_may_delete_nothing_more():
    old, young = append_actions(2 * YEAR, HOUR)

    with refused(young):
        prune_and_delete(young)

    assert left() == [old, young]


def refused(id: int) -> Any:
    return pytest.raises(DatabaseError, match=f"entry {id} can be neither changed nor deleted")


def name_and_run(id: int, sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('outbox.prune_audit', %s, true)", [str(id)])
        cursor.execute(sql)


def prune_and_delete(id: int) -> None:
    with transaction.atomic():
        assert audit.prune_entries(older_than=YEAR) == 1
        AuditEntry.objects.filter(pk=id).delete()
