"""A second person approves discards, and what is large."""

from collections.abc import Callable

import pytest

from outbox.bulk import operations, running
from outbox.errors import NotAllowed
from outbox.models import Message
from outbox.models.bulk import BulkState, BulkVerb
from tests.harness.bulk import failed_messages, go_on, now, prepared, started
from tests.harness.desk import user, wins

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_discard_waits_for_a_second_person() -> None:
    wins.failed("1")
    operation = started(verb=BulkVerb.DISCARD)
    assert operation.state == BulkState.WAITING
    assert go_on(operation).done == 0

    with pytest.raises(NotAllowed, match="started it yourself"):
        operations.approve(operation.pk, revision=1, actor="ada", reason="fine")
    approved = operations.approve(operation.pk, revision=1, actor="bob", reason="looked at it")

    assert (approved.state, approved.approved_by) == (BulkState.RUNNING, "bob")
    assert go_on(operation).state == BulkState.DONE
    assert Message.objects.get().resolution == "discarded"


def test_a_discard_that_waits_can_be_cancelled() -> None:
    wins.failed("1")
    operation = started(verb=BulkVerb.DISCARD)

    operations.cancel(operation.pk, revision=1, actor="bob", reason="no")

    running.go_on()
    assert (now(operation).state, Message.objects.get().resolution) == (BulkState.CANCELLED, "")


def test_a_retry_above_the_number_in_the_settings_waits_as_well(configure: Callable[..., None]) -> None:
    configure(BULK_APPROVAL_ABOVE=3)
    failed_messages(4)

    assert started().state == BulkState.WAITING


def test_a_retry_of_no_more_than_that_does_not(configure: Callable[..., None]) -> None:
    configure(BULK_APPROVAL_ABOVE=3)
    failed_messages(3)

    assert started().state == BulkState.RUNNING


def test_approving_takes_its_own_permission() -> None:
    wins.failed("1")
    operation = started(verb=BulkVerb.DISCARD)

    with pytest.raises(NotAllowed, match="approve_bulk"):
        operations.approve(operation.pk, revision=1, actor=user("ben", "bulk_message"), reason="fine")


def test_whoever_may_act_on_many_may_stop_another_s_operation() -> None:
    wins.failed("1")
    operation = started(rate=1)

    paused = operations.pause(operation.pk, revision=1, actor=user("ben", "bulk_message"), reason="the vendor rang")
    assert paused.state == BulkState.PAUSED
    with pytest.raises(NotAllowed, match="bulk_message"):
        operations.cancel(operation.pk, revision=2, actor=user("cy", "retry_message"), reason="enough")


def test_starting_takes_the_permission_of_the_act_as_well() -> None:
    wins.failed("1")
    operation = prepared(verb=BulkVerb.DISCARD)

    with pytest.raises(NotAllowed, match="discard_message"):
        operations.start(operation.pk, revision=0, actor=user("ben", "bulk_message"), reason="old")
