"""What people decide about a failure group: kept whole, written to the audit, and never overwritten."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F

from outbox import operate
from outbox.errors import Conflict, NotAllowed
from outbox.models import AuditEntry, FailureGroup, GroupState
from tests.harness.desk import ISSUE, failure_group, user
from tests.harness.rows import acts_done

pytestmark = pytest.mark.django_db


def decide(group: FailureGroup, **given: Any) -> FailureGroup:
    known: dict[str, Any] = {
        "revision": group.revision,
        "was": group.state,
        "actor": "ada",
        "state": GroupState.INVESTIGATING,
    }
    return operate.set_group(group.pk, **{**known, **given})


def test_a_decision_is_kept_whole_and_written_to_the_audit(lead: User) -> None:
    group = failure_group()

    changed = decide(group, actor=lead, owner=" ada ", ticket="SHOP-7", note="ask the vendor", origin="10.0.0.7")

    assert (changed.state, changed.owner, changed.ticket, changed.note) == (
        "investigating",
        "ada",
        "SHOP-7",
        "ask the vendor",
    )
    assert changed.revision == 1
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.message_id, entry.origin) == ("lead", "triage", None, "10.0.0.7")
    assert entry.subject == f"{ISSUE}: the jam jams #jam---------"
    assert (entry.before["state"], entry.after["state"], entry.after["owner"]) == ("new", "investigating", "ada")


def test_ignoring_takes_a_number_that_is_not_reached_yet() -> None:
    group = failure_group(failures=10)

    for limit in (None, 10):
        with pytest.raises(NotAllowed, match="more than the 10 there have been"):
            decide(group, state=GroupState.IGNORED, ignored_up_to=limit)
    ignored = decide(group, state=GroupState.IGNORED, ignored_up_to=11)
    assert ignored.ignored_up_to == 11

    assert decide(ignored, state=GroupState.WAITING, ignored_up_to=11).ignored_up_to is None


def test_a_decision_takes_the_permission_but_no_reason() -> None:
    group = failure_group()

    with pytest.raises(NotAllowed, match=r"outbox\.change_failuregroup"):
        decide(group, actor=user("stranger", "view_failuregroup", "retry_message"))
    with pytest.raises(NotAllowed, match="Nothing was changed"):
        decide(group, state=GroupState.NEW)

    assert not acts_done().exists()
    assert decide(group).revision == 1


def test_the_second_operator_is_told_what_the_first_decided() -> None:
    group = failure_group()
    decide(group, actor="bob", state=GroupState.NEW, owner="bob", reason="it is mine")

    with pytest.raises(Conflict, match=r"bob changed the failure group since you looked .*it is mine"):
        decide(group, owner="ada")

    assert FailureGroup.objects.get().owner == "bob"


def test_a_failure_that_came_back_meanwhile_is_not_said_to_be_fixed_again() -> None:
    group = failure_group(state=GroupState.FIXED)
    FailureGroup.objects.update(state=GroupState.NEW, regressions=F("regressions") + 1)  # as the engine does

    with pytest.raises(Conflict, match="has come back since you looked"):
        decide(group, state=GroupState.FIXED, note="all is well")

    assert FailureGroup.objects.get().state == GroupState.NEW
