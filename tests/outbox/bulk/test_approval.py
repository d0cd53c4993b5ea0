"""A second person approves discards, and what is large."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from outbox import operate
from outbox.bulk import operations, preview, running, selection
from outbox.errors import NotAllowed
from outbox.models import Message
from outbox.models.bulk import BulkState, BulkVerb
from outbox.operate.patch import Patch
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


def test_what_is_worth_more_than_the_settings_permit_waits_for_a_second_person(configure: Callable[..., None]) -> None:
    configure(APPROVAL_ABOVE_VALUE={"EUR": 100})
    wins.failed("1", value=Decimal(60), currency="EUR")
    wins.failed("2", value=Decimal(40), currency="EUR")
    wins.failed("3", value=Decimal(5000), currency="points")
    operation = started()
    assert preview.worth(operation.preview) == {"EUR": Decimal(100), "points": Decimal(5000)}
    assert operation.state == BulkState.RUNNING
    operations.cancel(operation.pk, revision=1, actor="ada", reason="once more")

    wins.failed("4", value=Decimal("0.01"), currency="EUR")

    assert started().state == BulkState.WAITING


def test_one_that_is_worth_more_is_not_edited_by_one_person(configure: Callable[..., None]) -> None:
    configure(APPROVAL_ABOVE_VALUE={"EUR": 100})
    dear = wins.failed("1", value=Decimal("100.01"), currency="EUR")
    cheap = wins.failed("2", value=Decimal(100), currency="EUR")

    operate.edit(cheap.pk, revision=0, payload={"award": 18}, actor="ada", reason="x")
    with pytest.raises(NotAllowed, match="second person"):
        operate.edit(dear.pk, revision=0, payload={"award": 18}, actor="ada", reason="x")

    made = operations.prepare(
        BulkVerb.EDIT, selection.picked({dear.pk: 0}), actor="ada", patch=Patch(set={"award": 18})
    )
    assert operations.start(made.pk, revision=0, actor="ada", reason="x").state == BulkState.WAITING
    operations.approve(made.pk, revision=1, actor="bob", reason="I have looked")
    running.go_on()
    assert Message.objects.get(pk=dear.pk).payload["award"] == 18
