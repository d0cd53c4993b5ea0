"""Edit and retry: what it changes, what is kept, and what nobody may change."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db.models import JSONField, Value
from django.db.models.functions import Now

from outbox import consumer, operate, registry
from outbox.errors import Conflict, NotAllowed
from outbox.maintenance.pruning import prune
from outbox.models import AuditEntry, Message, PayloadVersion
from outbox.models.attempt import AttemptOutcome
from outbox.operate.differences import MISSING, Difference, changed_among, differences
from outbox.policy import Reason
from tests.harness.desk import ISSUE, ORDER, TOPIC, user, wins
from tests.harness.rows import acts_done, attempt, proof

pytestmark = pytest.mark.django_db(transaction=True)
Hints = list[dict[str, list[int]]]
WHY = {"actor": "ada", "reason": "the address was wrong"}
OLD = {"award": 17, "winner": "ada@example.com", "lines": [1, None]}
NEW = {**OLD, "winner": "bob@example.com"}
LOCKED = "desk.locked"


@pytest.fixture
def locked() -> Iterator[str]:
    """A consumer that lets nobody change the award, nor the city of an address."""
    consumer(TOPIC, name=LOCKED, locked=["award", "address.city"])(lambda _message: None)
    yield LOCKED
    registry.forget_consumer(LOCKED)


def edited(message: Message, payload: object = NEW, **options: object) -> Message:
    return operate.edit(message.pk, revision=message.revision, payload=payload, **{**WHY, **options})


def test_the_message_waits_with_the_new_payload_under_the_same_key_and_the_old_one_is_kept(hints: Hints) -> None:
    message = wins.failed("7")

    after = edited(message)

    assert (after.payload, after.status, after.revision) == (NEW, "pending", 1)
    assert (after.idempotency_key, after.digest) == (message.idempotency_key, message.digest)
    [version] = PayloadVersion.objects.all()
    assert (version.message_id, version.revision, version.payload) == (message.pk, 0, OLD)
    assert (str(version.drawn_key), version.edited_by) == (message.idempotency_key, "ada")
    assert hints == [{ISSUE: [message.pk]}]


def test_the_audit_names_the_keys_that_were_changed_and_no_value() -> None:
    edited(wins.failed("7"), {**NEW, "more": {"street": "Elm"}})

    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.actor, entry.reason) == ("edit", "ada", "the address was wrong")
    assert entry.after["changed_keys"] == "winner, more"
    assert "example.com" not in str((entry.before, entry.after))


def test_each_edit_keeps_the_payload_before_it() -> None:
    message = edited(wins.failed("7"))
    Message.objects.filter(pk=message.pk).update(
        status="failed", finished_at=message.due_at, exhausted_at=message.due_at, attempts=1
    )

    edited(message, {"award": 18})

    kept = PayloadVersion.objects.order_by("revision").values_list("revision", "payload")
    assert list(kept) == [(0, OLD), (1, NEW)]


@pytest.mark.parametrize(
    "payload", [{"award": 18}, {"award": True}, {"award": 17.0}, {}, [17], {"award": 17, "address": {"city": "Rome"}}]
)
def test_what_is_locked_stays_as_it_is(locked: str, payload: object) -> None:
    message = wins.failed("7", consumer=locked)

    with pytest.raises(NotAllowed, match="locked"):
        edited(message, payload)

    assert Message.objects.get().payload == OLD
    assert not PayloadVersion.objects.exists()


def test_what_is_not_locked_may_be_changed_beside_it(locked: str) -> None:
    message = wins.failed("7", consumer=locked, payload={"award": 17, "address": {"city": "Bonn", "street": "Elm"}})

    after = edited(message, {"award": 17, "address": {"city": "Bonn", "street": "Oak"}})

    assert after.payload["address"]["street"] == "Oak"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (OLD, "Nothing was changed"),
        (dict(reversed(OLD.items())), "Nothing was changed"),
        ({"award": float("nan")}, "JSON"),
        ({"award": "a\0b"}, "NUL"),
        ({"award": "x" * 300_000}, "limit"),
        ({"award": "\ud800"}, "surrogate"),
    ],
)
def test_what_is_no_change_or_no_payload_is_refused(payload: object, why: str) -> None:
    message = wins.failed("7")

    with pytest.raises(NotAllowed, match=why):
        edited(message, payload)

    assert Message.objects.get().revision == 0


@pytest.mark.parametrize(
    "outcome",
    [
        (AttemptOutcome.LOST, False),
        (AttemptOutcome.LATE, False),
        (AttemptOutcome.FAILED, True),
        (AttemptOutcome.REJECTED, True),
    ],
)
def test_where_the_other_side_may_have_acted_only_a_new_order_is_edited(outcome: tuple[str, bool]) -> None:
    message = wins.failed("7", consumer=ORDER)
    attempt(message, outcome=outcome[0], may_have_acted=outcome[1])

    with pytest.raises(NotAllowed, match="old order"):
        edited(message)
    after = edited(message, as_new_order=True)

    assert after.idempotency_key != message.idempotency_key
    [entry] = acts_done()
    assert (entry.before["order"], entry.after["order"]) == (message.idempotency_key, after.idempotency_key)
    assert str(PayloadVersion.objects.get().drawn_key) == message.idempotency_key


def test_so_is_one_whose_handler_ended_the_transaction() -> None:
    message = wins.failed("7", reason=Reason.ENDED_TRANSACTION)

    with pytest.raises(NotAllowed, match="old order"):
        edited(message)


def test_an_atomic_consumer_s_lost_attempt_leaves_no_doubt() -> None:
    message = wins.failed("7")
    attempt(message, outcome=AttemptOutcome.LOST)

    assert edited(message).idempotency_key == message.idempotency_key


def test_what_was_issued_by_hand_takes_a_confirmation_and_is_watched() -> None:
    message = wins.failed("7")
    evidence = proof(message, "ORDER-77")

    with pytest.raises(NotAllowed, match="ORDER-77"):
        edited(message)
    edited(message, despite_evidence=True)

    evidence.refresh_from_db()
    assert evidence.retried_at is not None


@pytest.mark.parametrize("make", [wins.pending, wins.started, wins.success, wins.handled, wins.discarded])
def test_only_what_has_failed_is_edited(make) -> None:
    message = make("7")

    with pytest.raises(NotAllowed):
        edited(message)

    assert Message.objects.get().payload == OLD


def test_somebody_faster_is_named_and_nothing_is_overwritten() -> None:
    message = wins.failed("7")
    operate.discard(message.pk, revision=0, actor="bob", reason="not for sale")

    with pytest.raises(Conflict, match="bob"):
        edited(message)

    assert not PayloadVersion.objects.exists()


def test_an_edit_takes_its_own_permission() -> None:
    message = wins.failed("7")
    who = user("viewer", "view_message", "retry_message", "view_payload")

    with pytest.raises(NotAllowed, match="edit_payload"):
        edited(message, actor=who)
    edited(message, actor=user("lead", "edit_payload"))


def test_without_the_consumer_nobody_would_act_on_it() -> None:
    message = wins.failed("7", consumer="desk.gone")

    with pytest.raises(NotAllowed, match=r"desk\.gone"):
        edited(message)


def test_the_same_event_published_again_is_compared_with_what_was_published() -> None:
    message = wins.failed("7")
    digest = Message.objects.get().digest

    edited(message)

    assert Message.objects.get().digest == digest


def test_earlier_payloads_are_erased_with_the_message() -> None:
    message = edited(wins.failed("7"))
    operate.withdraw(message.pk, revision=1, actor="ada", reason="a person asked")

    operate.erase([message.pk], actor="ada", reason="a person asked")

    assert "ada@example.com" not in str(PayloadVersion.objects.get().payload)


def test_earlier_payloads_go_with_the_message_when_it_is_old() -> None:
    message = edited(wins.failed("7"))
    long_ago = message.created_at - timedelta(days=365)
    Message.objects.filter(pk=message.pk).update(status="success", attempts=1, finished_at=long_ago)

    assert prune().messages == 1

    assert not PayloadVersion.objects.exists()


@pytest.mark.parametrize(("before", "after"), [(OLD, None), (None, {"award": 17})])
def test_null_is_a_payload_as_well(before: object, after: object) -> None:
    message = wins.failed("7", payload=Value(before, JSONField()))

    edited(Message.objects.get(pk=message.pk), after)

    assert Message.objects.get().payload == after
    assert PayloadVersion.objects.get().payload == before


@pytest.mark.parametrize("as_new_order", [False, True])
def test_while_a_call_that_was_given_up_may_still_run_it_is_not_edited(as_new_order: bool) -> None:
    message = wins.failed("7", consumer=ORDER)
    Message.objects.filter(pk=message.pk).update(not_before=Now() + timedelta(seconds=8))

    with pytest.raises(NotAllowed, match="may still run"):
        edited(message, as_new_order=as_new_order)

    Message.objects.filter(pk=message.pk).update(not_before=Now() + timedelta(hours=1))  # a long snooze holds up nobody
    edited(message, as_new_order=as_new_order)


@pytest.mark.parametrize(
    ("lock", "before", "after"),
    [
        ("items.price", {"items": [{"price": 1}]}, {"items": [{"price": 2}]}),
        ("order.id", {"order.id": 1}, {"order.id": 2}),
        ("award.id", {"award": 1}, {"award": {"id": 1}}),
        ("award", [17], [18]),
    ],
)
def test_a_lock_holds_in_lists_and_under_keys_with_dots(lock: str, before: object, after: object) -> None:
    assert changed_among([lock], before, after) == [lock]
    assert changed_among([lock], before, before) == []


def test_differences_are_told_key_by_key() -> None:
    before = {"a": 1, "b": {"c": [1], "d": 2}, "e": None}
    after = {"a": True, "b": {"c": [1, 2], "d": 2}, "f": 3}

    assert differences(before, after) == [
        Difference("a", 1, True),
        Difference("b.c", [1], [1, 2]),
        Difference("e", None, MISSING),
        Difference("f", MISSING, 3),
    ]
    assert differences(None, {}) == [Difference("", None, {})]
