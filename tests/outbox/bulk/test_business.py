"""What a bulk operation closes reaches the business, message by message, and the business may refuse each."""

from collections.abc import Sequence

import pytest
from django.db import connection

from outbox import Closing, Reject, operate
from outbox.bulk import selection
from outbox.models import BulkItem, BulkOperation, EvidenceKind, HandledAs, Message
from outbox.models.bulk import BulkState, BulkVerb
from tests.harness.bulk import go_on, now, prepared, results, started
from tests.harness.closings import told
from tests.harness.desk import wins
from tests.shop.models import Stock

pytestmark = pytest.mark.django_db(transaction=True)


def to_the_end(operation: BulkOperation) -> BulkOperation:
    """Make passes until nothing is left to do."""
    for _pass in range(20):
        operation = go_on(operation)
        if not operation.remaining:
            return operation
    return operation


def said(operation: BulkOperation) -> list[str]:
    return list(BulkItem.objects.filter(operation=operation).order_by("pk").values_list("said", flat=True))


def test_the_business_is_told_of_each_message_and_of_its_undoing(declare) -> None:
    heard = declare()
    messages = [told.failed(str(n)) for n in range(3)]

    handled = to_the_end(started(verb=BulkVerb.HANDLE, outcome=HandledAs.COMPENSATED, evidence="vouchers of 3 May"))
    to_the_end(started(selection.to_undo(handled), verb=BulkVerb.REOPEN))

    assert [closing.message.pk for closing in heard] == [message.pk for message in messages] * 2
    assert {(each.outcome, each.evidence, each.actor) for each in heard} == {
        ("compensated", "vouchers of 3 May", "ada")
    }


def test_a_refusal_is_the_result_of_its_message_alone(declare) -> None:
    def refuse_the_second(closings: Sequence[Closing]) -> None:
        Stock.objects.create()
        if closings[0].message.key == "1":
            raise Reject("it was sent this morning")

    declare(refuse_the_second)
    messages = [told.failed(str(n)) for n in range(3)]

    operation = to_the_end(started(verb=BulkVerb.HANDLE, outcome=HandledAs.NOT_DUE, evidence="a test campaign"))

    assert results(operation) == [("done", ""), ("refused", "business"), ("done", "")]
    assert "it was sent this morning" in said(operation)[1]
    assert [Message.objects.get(pk=message.pk).status for message in messages] == ["success", "failed", "success"]
    assert Stock.objects.count() == 2
    assert (operation.state, operation.done, operation.refused) == (BulkState.DONE, 2, 1)


@pytest.mark.services
def test_a_hook_that_ends_the_transaction_costs_its_own_message_alone(declare) -> None:
    def commit_in_the_second(closings: Sequence[Closing]) -> None:
        if closings[0].message.key == "1":
            with connection.cursor() as cursor:
                cursor.execute("ROLLBACK")
        else:
            Stock.objects.create()

    declare(commit_in_the_second)
    for n in range(3):
        told.failed(str(n))

    operation = to_the_end(started(verb=BulkVerb.HANDLE, outcome=HandledAs.NOT_DUE, evidence="a test campaign"))

    assert results(operation) == [("done", ""), ("refused", "business"), ("done", "")]
    assert "ended the transaction" in said(operation)[1]
    assert Stock.objects.count() == 2


def test_what_takes_long_is_done_in_several_chunks_and_each_message_once(declare, monkeypatch) -> None:
    heard = declare()
    monkeypatch.setattr("outbox.bulk.chunks.CHUNK_TIME", 0.0)
    messages = [told.failed(str(n)) for n in range(5)]

    operation = to_the_end(started(verb=BulkVerb.HANDLE, outcome=HandledAs.NOT_DUE, evidence="a test campaign"))

    assert [closing.message.pk for closing in heard] == [message.pk for message in messages]
    assert results(operation) == [("done", "")] * 5


def test_what_was_issued_by_evidence_is_not_retried_in_bulk() -> None:
    issued, other = wins.failed("1"), wins.failed("2")
    operate.mark_handled(
        issued.pk,
        revision=0,
        actor="bob",
        reason="x",
        outcome=HandledAs.ISSUED,
        evidence="V-1",
        kind=EvidenceKind.ORDER,
    )
    operate.reopen(issued.pk, revision=1, actor="bob", reason="to look at")

    operation = go_on(started())

    assert results(operation) == [("left_out", "issued"), ("done", "")]
    assert Message.objects.get(pk=other.pk).status == "pending"


def test_what_the_business_cannot_take_back_is_not_undone(declare) -> None:
    declare(on_handled=lambda _closings: None)
    told.failed("1")
    handled = go_on(started(verb=BulkVerb.HANDLE, outcome=HandledAs.NOT_DUE, evidence="a test campaign"))
    wins.failed("2")

    undone = prepared(selection.to_undo(now(handled)), verb=BulkVerb.REOPEN)

    assert results(undone) == [("left_out", "for_good")]
