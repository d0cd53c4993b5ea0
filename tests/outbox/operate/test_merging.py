"""Groups that are one for people: merged, shown and retried together, and split off again."""

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from outbox import operate
from outbox.admin.failures import groups
from outbox.bulk import selection
from outbox.errors import Conflict, NotAllowed
from outbox.maintenance import pruning
from outbox.models import AuditEntry, FailureCount, FailureGroup, GroupState
from outbox.operate import failures
from tests.harness.desk import ORDER, failure_group, user, wins
from tests.harness.rows import acts_done

pytestmark = pytest.mark.django_db


def merge(group: FailureGroup, into: FailureGroup, **given: Any) -> FailureGroup:
    return operate.merge_group(group.pk, into=into.pk, **{"revision": group.revision, "actor": "ada", **given})


def test_a_merge_is_written_to_the_audit_and_taken_back(lead: User) -> None:
    one, other = failure_group("jam"), failure_group("tear")

    merged = merge(one, other, actor=lead, origin="10.0.0.7")
    split = operate.split_group(one.pk, revision=merged.revision, actor=lead)

    assert (merged.merged_into_id, split.merged_into_id, split.revision) == (other.pk, None, 2)
    told = AuditEntry.objects.order_by("id").values_list("actor", "action", "before__merged_into", "after__merged_into")
    name = f"{other} #{other.pk[:12]}"
    assert list(told) == [("lead", "merge", "", name), ("lead", "split", name, "")]


def test_merged_groups_are_counted_and_read_as_one_everywhere() -> None:
    one, other = failure_group("jam", failures=5, stuck=2), failure_group("tear", failures=7, stuck=3)
    merge(one, other)

    stuck = groups.stuck_now()
    [listed] = groups.read_groups(stuck)
    [on_operations] = groups.read_stuck_groups(stuck)
    found = groups.find_group(one.pk)

    assert found is not None
    for summary in (listed, on_operations, found):
        assert (summary.group.pk, summary.stuck.counted, summary.total) == (other.pk, 5, 12)
        assert summary.fingerprints == [other.pk, one.pk]
    assert [(group.failure, group.messages) for group in groups.fold(stuck, [listed])] == [(other.pk, 5)]
    assert selection.of_group(other.pk).messages.count() == 5
    assert selection.of_group(one.pk).messages.count() == 2
    message = wins.failed("x", failure=one.pk)
    of_message = groups.find_group_of(message)
    assert of_message is not None
    assert (of_message.root.pk, of_message.fingerprints, of_message.total) == (other.pk, (other.pk, one.pk), 12)


def test_of_a_group_that_stands_for_others_only_those_of_the_consumer_asked_for_are_read() -> None:
    one, other = failure_group("jam", stuck=1), failure_group("tear")
    failure_group("paper", consumer=ORDER)
    merge(one, other)

    [listed] = groups.read_groups(groups.stuck_now(one.consumer), consumer=one.consumer)

    assert (listed.group.pk, listed.stuck.counted) == (other.pk, 1)


def test_there_are_no_chains_no_circles_and_no_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, third = failure_group("jam"), failure_group("tear"), failure_group("dust")
    stranger = failure_group("paper", consumer=ORDER)
    for target in (one, stranger):
        with pytest.raises(NotAllowed, match="of the same consumer"):
            merge(one, target)
    merge(one, other)

    with pytest.raises(NotAllowed, match="merged into another already"):
        merge(FailureGroup.objects.get(pk=one.pk), third)
    with pytest.raises(NotAllowed, match="merged into another itself"):
        merge(third, one)
    with pytest.raises(NotAllowed, match="Others are merged into this group"):
        merge(other, third)
    with pytest.raises(NotAllowed, match="stands for itself"):
        operate.split_group(other.pk, revision=0, actor="ada")
    with pytest.raises(NotAllowed, match="Write it down there"):
        operate.set_group(one.pk, revision=1, was=GroupState.NEW, actor="ada", state=GroupState.FIXED)
    monkeypatch.setattr(failures, "MOST_MEMBERS", 1)
    with pytest.raises(NotAllowed, match="no more can be"):
        merge(third, other)


def test_merging_takes_the_permission_and_what_was_seen() -> None:
    one, other = failure_group("jam"), failure_group("tear")
    stranger = user("stranger", "view_failuregroup")

    with pytest.raises(NotAllowed, match=r"outbox\.change_failuregroup"):
        merge(one, other, actor=stranger)
    with pytest.raises(NotAllowed, match=r"outbox\.change_failuregroup"):
        operate.split_group(one.pk, revision=0, actor=stranger)
    with pytest.raises(Conflict, match="no longer there"):
        operate.merge_group(one.pk, into="\0", revision=0, actor="ada")
    merge(one, other, actor="bob")
    operate.split_group(one.pk, revision=1, actor="bob")
    with pytest.raises(Conflict, match="bob split the failure group off since you looked"):
        merge(one, other)

    assert acts_done().count() == 2


def test_ignoring_counts_what_is_merged_into_it() -> None:
    one, other = failure_group("jam", failures=5), failure_group("tear", failures=7)
    merge(one, other)
    ignore = {"was": GroupState.NEW, "actor": "ada", "state": GroupState.IGNORED}

    with pytest.raises(NotAllowed, match="more than the 12"):
        operate.set_group(other.pk, revision=0, ignored_up_to=12, **ignore)

    assert operate.set_group(other.pk, revision=0, ignored_up_to=13, **ignore).ignored_up_to == 13


def test_what_stands_for_others_is_forgotten_after_them() -> None:
    one, other = failure_group("jam"), failure_group("tear")
    merge(one, other)
    FailureGroup.objects.update(first_at="2020-01-01T00:00Z")
    FailureCount.objects.update(last_at="2020-01-01T00:00Z")

    pruning._prune_small_tables()
    left = list(FailureGroup.objects.values_list("pk", flat=True))
    pruning._prune_small_tables()

    assert left == [other.pk]
    assert not FailureGroup.objects.exists()


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_two_who_merge_two_groups_into_each_other_at_once_make_no_circle() -> None:
    one, other = failure_group("jam"), failure_group("tear")
    told: list[Exception] = []
    at_once = threading.Barrier(2, timeout=10)

    def run(group: FailureGroup, into: FailureGroup) -> None:
        try:
            at_once.wait()
            merge(group, into)
        except (Conflict, NotAllowed) as refusal:
            told.append(refusal)
        finally:
            connection.close()

    for _turn in range(10):
        pair = [threading.Thread(target=run, args=args) for args in ((one, other), (other, one))]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
        merged = FailureGroup.objects.exclude(merged_into=None)
        assert merged.count() == 1
        merged.update(merged_into=None)
        FailureGroup.objects.update(revision=0)

    assert len(told) == 10
