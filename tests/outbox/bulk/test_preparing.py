"""Freezing a set and counting it: exact, and nothing is done to any message."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from outbox.bulk import operations, selection
from outbox.errors import NotAllowed
from outbox.models import AttemptOutcome, BulkItem, BulkOperation, Message
from outbox.models.bulk import BulkState, BulkVerb
from outbox.policy import Reason
from tests.harness.bulk import failed_messages, prepared, results
from tests.harness.desk import ISSUE, ORDER, failure_group, user, wins
from tests.harness.messages import whole_rows
from tests.harness.rows import acts_done, attempt

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_failed_is_frozen_with_its_revision_and_no_message_is_touched() -> None:
    first, second = wins.failed("1"), wins.failed("2", revision=4)
    wins.success("3"), wins.pending("4"), wins.discarded("5")
    before = whole_rows()

    operation = prepared()

    items = BulkItem.objects.filter(operation=operation).order_by("pk")
    assert list(items.values_list("message_id", "revision", "result")) == [(first.pk, 0, ""), (second.pk, 4, "")]
    assert (operation.state, operation.total, operation.remaining) == (BulkState.DRAFT, 2, 2)
    assert whole_rows() == before
    assert not acts_done().exists()


def test_the_preview_counts_by_consumer_reason_and_age() -> None:
    wins.failed("1")
    wins.failed("2", consumer=ORDER, reason=Reason.REJECTED)
    wins.failed("3", reason=Reason.REJECTED)
    Message.objects.filter(key="3").update(finished_at=Now() - timedelta(days=3))

    preview = prepared().preview

    assert preview["consumers"] == {ISSUE: 2, ORDER: 1}
    assert preview["reasons"] == {Reason.REJECTED: 2, Reason.NO_TRIES_LEFT: 1}
    assert preview["ages"] == {"hour": 2, "week": 1}
    assert preview["left_out"] == {}
    assert sorted(preview["samples"]) == sorted(Message.objects.values_list("pk", flat=True))


def test_a_retry_leaves_out_where_the_other_side_may_have_acted_and_what_has_no_consumer() -> None:
    acted = wins.failed("1", consumer=ORDER)
    attempt(acted, outcome=AttemptOutcome.LOST)
    harmless = wins.failed("2", consumer=ORDER)
    attempt(harmless, outcome=AttemptOutcome.FAILED)
    rolled_back = wins.failed("3")
    attempt(rolled_back, outcome=AttemptOutcome.LOST)
    wins.failed("4", consumer="gone.long")
    wins.failed("5", reason=Reason.MAY_HAVE_HAPPENED)

    operation = prepared()

    assert results(operation) == [
        ("left_out", "may_have_acted"),
        ("", ""),
        ("", ""),
        ("left_out", "no_consumer"),
        ("left_out", "may_have_acted"),
    ]
    assert operation.preview["left_out"] == {"may_have_acted": 2, "no_consumer": 1}
    assert (operation.left_out, operation.remaining) == (3, 2)


def test_closing_leaves_nothing_out_that_has_failed() -> None:
    attempt(wins.failed("1", consumer=ORDER), outcome=AttemptOutcome.LOST)
    wins.failed("2", consumer="gone.long")

    assert prepared(verb=BulkVerb.DISCARD).remaining == 2


def test_of_a_list_what_is_started_closed_or_unknown_is_told() -> None:
    rows = [wins.failed("1"), wins.pending("2"), wins.started("3"), wins.success("4"), wins.handled("5")]

    operation = prepared(selection.listed_ids([str(row.pk) for row in rows] + ["999999"]))

    assert results(operation) == [
        ("", ""),
        ("left_out", "started"),
        ("left_out", "started"),
        ("left_out", "closed"),
        ("left_out", "closed"),
    ]
    assert operation.source == {"kind": "ids", "given": 6, "unknown": 1}


def test_a_list_of_business_ids_finds_the_messages_of_every_consumer() -> None:
    wins.failed("A-1"), wins.failed("A-1", consumer=ORDER), wins.failed("A-2")

    assert prepared(selection.listed_keys(["A-1", "A-1", "nobody's"])).remaining == 2


def test_a_line_that_is_no_id_is_named() -> None:
    with pytest.raises(NotAllowed, match="Line 2 is no message id: “17; DROP”"):
        selection.listed_ids(["17", "17; DROP"])


def test_a_picked_row_that_somebody_has_changed_since_is_left_out() -> None:
    seen, changed = wins.failed("1"), wins.failed("2", revision=2)

    operation = prepared(selection.picked({seen.pk: 0, changed.pk: 1}))

    assert results(operation) == [("", ""), ("left_out", "changed")]


def test_a_failure_group_is_what_is_stuck_for_one_reason_and_may_be_named_in_short() -> None:
    group = failure_group("jam", stuck=2)
    failure_group("fire", stuck=1)

    operation = prepared(selection.of_group(group.pk[:8]))

    assert operation.remaining == 2
    assert "the jam jams" in selection.describe(operation.source)


def test_a_name_that_fits_two_groups_or_none_is_refused() -> None:
    failure_group("jam", stuck=1), failure_group("jar", stuck=1)

    with pytest.raises(NotAllowed, match="More than one"):
        selection.of_group("ja")
    with pytest.raises(NotAllowed, match="There is no failure group"):
        selection.of_group("fire")


def test_since_keeps_what_failed_lately() -> None:
    wins.failed("old"), wins.failed("new")
    Message.objects.filter(key="old").update(exhausted_at=Now() - timedelta(hours=2))

    operation = prepared(selection.failed(consumer=ISSUE, since=timedelta(hours=1)))

    assert [item.message.key for item in BulkItem.objects.filter(operation=operation)] == ["new"]


def test_the_digest_is_that_of_ids_and_revisions() -> None:
    wins.failed("1"), wins.failed("2")
    first, again = prepared(), prepared()
    Message.objects.filter(key="2").update(revision=F("revision") + 1)

    assert len(first.digest) == 64
    assert first.digest == again.digest != prepared().digest


def test_nothing_at_all_is_no_operation() -> None:
    with pytest.raises(NotAllowed, match="Nothing matches"):
        prepared()
    assert not BulkOperation.objects.exists()


@pytest.mark.parametrize("lacking", ["bulk_message", "discard_message"])
def test_it_takes_the_permission_for_many_and_that_of_the_act(lacking: str) -> None:
    wins.failed("1")
    able = user("ben", "view_message", *({"bulk_message", "discard_message"} - {lacking}))

    with pytest.raises(NotAllowed, match=lacking):
        operations.prepare(BulkVerb.DISCARD, selection.failed(), actor=able)


def test_the_statements_do_not_grow_with_the_set(django_assert_max_num_queries: Any) -> None:
    failed_messages(10)
    prepared()
    failed_messages(300, consumer=ORDER)

    with django_assert_max_num_queries(20):
        assert prepared(selection.failed(consumer=ORDER)).total == 300
