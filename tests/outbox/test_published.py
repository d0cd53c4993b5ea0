"""What code can do about what it has published: withdraw it, hurry it, ask whether it is done."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

import outbox
from outbox import Progress, Withdrawal, publish, publish_many
from outbox.delivery import chunks
from outbox.drafts import Draft
from outbox.errors import InvalidMessage, OutsideTransaction
from outbox.models import AttemptOutcome, Message, Resolution, Status
from tests.harness.rows import attempt
from tests.harness.threads import held
from tests.outbox.published import HOUR, TOPIC, found, hurry_one, publish_one, tills, withdraw_one
from tests.shop.models import Effect

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def test_what_waits_is_withdrawn_from_every_consumer_and_is_nobodys_work(three):
    publish_one(delay=HOUR)

    answers = withdraw_one()

    assert answers == dict.fromkeys(["test.a", "test.b", "test.c"], Withdrawal.WITHDRAWN)
    assert {row[1:] for row in found()} == {("failed", "withdrawn", 0)}
    assert not Message.objects.exhausted().exists()
    assert not Message.objects.unfinished().exists()
    assert Message.objects.filter(finished_at__isnull=False).count() == 3


def test_what_was_withdrawn_is_never_delivered(listen):
    till = listen()
    [id] = publish_one(payload={})
    withdraw_one()

    chunks.deliver(till.name, [id])

    assert found() == [("test.till", "failed", "withdrawn", 0)]
    assert not Effect.objects.exists()


def test_a_withdrawal_is_taken_back_with_the_transaction_of_the_business_row(listen):
    listen()
    publish_one(delay=HOUR)

    with transaction.atomic():
        outbox.withdraw(TOPIC, key="one")
        transaction.set_rollback(True)

    assert found() == [("test.till", "pending", "", 0)]


@pytest.mark.parametrize(
    ("write", "answer"),
    [
        (tills.started, Withdrawal.UNDER_WAY),
        (tills.success, Withdrawal.FINISHED),
        (tills.handled, Withdrawal.FINISHED),
        (tills.discarded, Withdrawal.FINISHED),
        (tills.failed, Withdrawal.FAILED),
    ],
)
def test_what_does_not_wait_is_left_alone_and_said(listen, write, answer):
    listen()
    write()
    before = found()

    assert withdraw_one() == {"test.till": answer}
    assert found() == before


def test_what_was_never_published_was_never_there(listen):
    listen()

    assert withdraw_one() == {"test.till": Withdrawal.NEVER_THERE}


def test_withdrawing_again_gives_the_same_answer(listen):
    listen()
    publish_one()

    assert withdraw_one() == withdraw_one() == {"test.till": Withdrawal.WITHDRAWN}


@pytest.mark.parametrize(
    ("outcome", "acted", "atomic", "answer"),
    [
        (AttemptOutcome.LOST, False, False, Withdrawal.MAY_HAVE_ACTED),
        (AttemptOutcome.FAILED, True, False, Withdrawal.MAY_HAVE_ACTED),
        (AttemptOutcome.FAILED, False, False, Withdrawal.WITHDRAWN),
        (AttemptOutcome.SNOOZED, False, False, Withdrawal.WITHDRAWN),
        (AttemptOutcome.LOST, False, True, Withdrawal.WITHDRAWN),
    ],
)
def test_what_may_have_acted_in_an_earlier_call_is_withdrawn_and_said(listen, outcome, acted, atomic, answer):
    listen(atomic=atomic)
    attempt(tills.pending(attempts=1), outcome=outcome, may_have_acted=acted)

    assert withdraw_one() == {"test.till": answer}
    assert found() == [("test.till", "failed", "withdrawn", 1)]


def test_only_the_consumers_that_are_named_are_withdrawn(three):
    publish_one()

    answers = withdraw_one(consumers=["test.a", "test.gone"])

    assert answers == {"test.a": Withdrawal.WITHDRAWN, "test.gone": Withdrawal.NEVER_THERE}
    assert [row[:2] for row in found()] == [("test.a", "failed"), ("test.b", "pending"), ("test.c", "pending")]


@pytest.mark.services
def test_a_withdrawal_waits_for_nobody_who_holds_the_row(listen):
    listen()
    publish_one()
    with held(Message.objects.select_for_update(no_key=True)), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '1s'")
        answers = outbox.withdraw(TOPIC, key="one")

    assert answers == {"test.till": Withdrawal.UNDER_WAY}
    assert found() == [("test.till", "pending", "", 0)]


def test_what_stood_behind_a_withdrawn_message_goes_on(listen, dispatched):
    listen()
    with transaction.atomic():
        first, second = publish_many(
            Draft(TOPIC, key=key, payload=1, ordering_key="k", delay=delay)
            for key, delay in (("one", HOUR), ("two", None))
        )
    dispatched.clear()

    withdraw_one()

    assert dispatched == [{"test.till": [second]}]
    assert Message.objects.due().values_list("pk", flat=True)[0] == second
    assert Message.objects.get(pk=first).resolution == Resolution.WITHDRAWN


def test_hurrying_makes_a_delayed_message_due_now(three, dispatched):
    ids = publish_one(delay=HOUR)

    assert hurry_one() == ["test.a", "test.b", "test.c"]
    assert Message.objects.filter(not_before__lte=Now(), due_at__lte=Now()).count() == 3
    assert [sorted(hints) for hints in dispatched] == [["test.a", "test.b", "test.c"]]
    assert sorted(id for hints in dispatched for each in hints.values() for id in each) == sorted(ids)


def test_hurrying_leaves_alone_what_does_not_wait_for_its_own_time(listen, dispatched):
    listen()
    tills.pending()
    before = Message.objects.values().get()

    assert hurry_one() == []
    assert Message.objects.values().get() == before
    assert dispatched == []


def test_what_was_called_before_is_due_after_a_lease_as_the_call_may_still_run(listen):
    listen()
    message = tills.pending(attempts=1, not_before=Now() + HOUR, due_at=Now() + HOUR)

    hurry_one()

    message.refresh_from_db()
    assert timedelta(seconds=5) < message.not_before - Message.objects.annotate(now=Now()).get().now < HOUR / 10
    assert message.due_at == message.not_before


def test_hurrying_lets_nothing_overtake_what_stands_before_it(listen, dispatched):
    listen()
    with transaction.atomic():
        publish(TOPIC, key="first", payload=1, ordering_key="k")
        publish(TOPIC, key="one", payload=1, ordering_key="k", delay=HOUR)
    dispatched.clear()

    assert hurry_one() == ["test.till"]
    message = Message.objects.get(key="one")
    assert message.due_at == message.expires_at
    assert [hints["test.till"] for hints in dispatched] == [[Message.objects.get(key="first").pk]]


def test_status_says_for_each_consumer_whether_it_is_done(three):
    tills.success(consumer="test.a", attempts=2)
    tills.failed(consumer="test.b")

    answers = outbox.status(TOPIC, key="one")

    done = Message.objects.get(consumer="test.a")
    assert answers["test.a"] == Progress(Status.SUCCESS, Resolution.NONE, 2, done.finished_at)
    assert [name for name, each in answers.items() if each.is_done] == ["test.a"]
    assert [name for name, each in answers.items() if each.needs_a_person] == ["test.b"]
    assert answers["test.c"] == Progress(None, Resolution.NONE, 0, None)
    assert not answers["test.c"].is_open


def test_status_takes_one_query_and_knows_consumers_that_are_gone(listen, django_assert_num_queries):
    tills.pending(consumer="test.gone")

    with django_assert_num_queries(1):
        answers = outbox.status(TOPIC, key="one")

    assert [(name, each.is_open) for name, each in answers.items() if name == "test.gone"] == [("test.gone", True)]


@pytest.mark.parametrize("verb", [outbox.withdraw, outbox.hurry])
def test_a_change_takes_the_transaction_of_the_business_row(listen, verb):
    listen()
    publish_one(delay=HOUR)

    with pytest.raises(OutsideTransaction, match="inside transaction"):
        verb(TOPIC, key="one")
    with transaction.atomic(), pytest.raises(InvalidMessage, match="a str of 1 to"):
        verb(TOPIC, key="")

    assert Message.objects.get().not_before > Message.objects.annotate(now=Now()).get().now
