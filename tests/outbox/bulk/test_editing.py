"""Editing a whole set by one patch: what fits is edited and retried, what does not is refused and says why."""

from collections.abc import Iterator

import pytest

from outbox import consumer, registry
from outbox.bulk import operations, selection
from outbox.errors import NotAllowed
from outbox.models import AttemptOutcome, AuditEntry, BulkItem, Message, PayloadVersion
from outbox.models.bulk import BulkState, BulkVerb
from outbox.operate.patch import Patch
from tests.harness.bulk import fail_again, failed_messages, go_on, results, succeed
from tests.harness.desk import ORDER, TOPIC, user, wins
from tests.harness.rows import attempt

pytestmark = pytest.mark.django_db(transaction=True)

RENAME = Patch(rename={"winner": "person"})
PATCHED = {"award": 17, "lines": [1, None], "person": "ada@example.com"}
LOCKED = "desk.locked"


@pytest.fixture
def locked() -> Iterator[str]:
    consumer(TOPIC, name=LOCKED, locked=["award"])(lambda _message: None)
    yield LOCKED
    registry.forget_consumer(LOCKED)


def prepared(patch: Patch = RENAME, chosen: selection.Selection | None = None, actor: object = "ada"):
    return operations.prepare(BulkVerb.EDIT, chosen or selection.failed(), actor=actor, patch=patch)


def started(patch: Patch = RENAME, chosen: selection.Selection | None = None, **options: object):
    made = prepared(patch, chosen)
    return operations.start(made.pk, revision=0, actor="ada", reason="the key was renamed", **options)


def test_every_payload_is_patched_kept_and_tried_again() -> None:
    messages = failed_messages(30)

    operation = go_on(started())

    assert results(operation) == [("done", "")] * 30
    after = Message.objects.order_by("pk").values_list("payload", "status", "revision")
    assert list(after) == [(PATCHED, "pending", 1)] * 30
    kept = PayloadVersion.objects.order_by("message_id").values_list("message_id", "revision", "payload", "edited_by")
    assert list(kept) == [(message.pk, 0, message.payload, "ada") for message in messages]
    assert set(Message.objects.values_list("drawn_key", flat=True)) == {message.drawn_key for message in messages}


def test_what_the_patch_does_not_fit_is_refused_and_stays_as_it_is() -> None:
    fits, lacks = wins.failed("fits"), wins.failed("lacks", payload={"award": 18})

    operation = go_on(started())

    assert results(operation) == [("done", ""), ("refused", "unfit")]
    assert "winner" in BulkItem.objects.get(message=lacks).said
    lacks.refresh_from_db()
    assert (lacks.payload, lacks.status, lacks.revision) == ({"award": 18}, "failed", 0)
    assert list(PayloadVersion.objects.values_list("message_id", flat=True)) == [fits.pk]


def test_what_the_patch_does_not_change_is_refused_as_well() -> None:
    wins.failed("7", payload={"city": "Bonn"})
    wins.failed("8", payload={"city": "Rome"})

    operation = go_on(started(Patch(set={"city": "Bonn"})))

    assert results(operation) == [("refused", "unfit"), ("done", "")]
    assert "Nothing was changed" in BulkItem.objects.get(result="refused").said


def test_unicode_and_numbers_come_through_as_they_are() -> None:
    odd = {"winner": "颁奖 \u202e \\u0041 'x'", "n": 12345678901234567890, "f": 0.1, "none": None, "yes": True}
    wins.failed("odd", payload=odd)

    go_on(started(Patch(set={"more": {"é": ["“"]}})))

    assert Message.objects.get().payload == {**odd, "more": {"é": ["“"]}}


def test_a_key_that_a_consumer_has_locked_is_refused_before_anything_is_frozen(locked: str) -> None:
    wins.failed("7", consumer=locked)

    for patch in (Patch(set={"award": 1}), Patch(rename={"award": "prize"}), Patch(remove=("award",))):
        with pytest.raises(NotAllowed, match="locked"):
            prepared(patch)

    assert not BulkItem.objects.exists()


def test_a_patch_that_changes_nothing_is_none() -> None:
    wins.failed("7")

    with pytest.raises(NotAllowed, match="what is to be changed"):
        prepared(Patch())


def test_where_the_other_side_may_have_acted_it_is_left_out_and_cannot_be_taken_in() -> None:
    suspect = wins.failed("7", consumer=ORDER)
    attempt(suspect, outcome=AttemptOutcome.REJECTED, may_have_acted=True)
    wins.failed("8", consumer=ORDER)

    operation = prepared()
    assert operation.preview["left_out"] == {"may_have_acted": 1}
    with pytest.raises(NotAllowed, match="one by one"):
        operations.start(operation.pk, revision=0, actor="ada", reason="x", include_suspects=True)


def test_a_trial_a_stop_rule_and_outcomes_are_those_of_a_retry() -> None:
    failed_messages(20)
    operation = go_on(started(canary=2, stop_percent=10))
    assert (operation.state, operation.done) == (BulkState.CANARY, 2)

    succeed()
    operation = go_on(go_on(operation))
    assert (operation.state, operation.succeeded) == (BulkState.RUNNING, 2)

    fail_again()
    operation = go_on(operation)
    assert operation.failed_again > 0


def test_it_takes_the_permission_to_edit() -> None:
    wins.failed("7")

    with pytest.raises(NotAllowed, match="edit_payload"):
        prepared(actor=user("bulk", "bulk_message", "retry_message"))
    with pytest.raises(NotAllowed, match="view_payload"):
        prepared(actor=user("blind", "bulk_message", "edit_payload"))
    prepared(actor=user("lead", "bulk_message", "edit_payload", "view_payload"))


def test_the_audit_names_the_keys_and_no_value() -> None:
    wins.failed("7")

    started(Patch(set={"iban": "DE02 1203"}))

    entry = AuditEntry.objects.get(action="bulk_start")
    assert entry.after["changed_keys"] == "iban"
    assert "DE02" not in str((entry.before, entry.after))


def test_a_trial_of_a_change_that_fits_nothing_stops_before_the_rest() -> None:
    failed_messages(60, payload={"award": 1})

    operation = started(canary=5)
    for _pass in range(5):
        operation = go_on(operation)

    assert (operation.state, operation.stopped_because) == (BulkState.STOPPED, "canary")
    assert operation.refused < 60
