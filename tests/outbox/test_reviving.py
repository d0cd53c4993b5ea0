"""What was withdrawn is published again: it is revived, once, and not where its effect may be there."""

import pytest
from django.db import transaction

import outbox
from outbox import Withdrawal, publish, publish_many
from outbox.drafts import Draft
from outbox.errors import KeyReused
from outbox.models import Message
from tests.harness.threads import at_once
from tests.outbox.published import HOUR, TOPIC, found, publish_one, withdraw_one

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def test_publishing_what_was_withdrawn_before_it_was_started_revives_it_as_it_is_published_now(listen, dispatched):
    listen()
    publish_one({"due": 1}, delay=HOUR)
    withdraw_one()
    dispatched.clear()

    [id] = publish_one({"due": 2})

    revived = Message.objects.get()
    assert (revived.pk, revived.status, revived.resolution, revived.payload) == (id, "pending", "", {"due": 2})
    assert revived.not_before == revived.created_at
    assert dispatched == [{"test.till": [id]}]
    assert withdraw_one() == {"test.till": Withdrawal.WITHDRAWN}


def test_what_is_revived_stands_at_the_end_of_its_ordering_key(listen):
    listen()
    publish_one(1, ordering_key="k")
    withdraw_one()
    with transaction.atomic():
        [later] = publish(TOPIC, key="later", payload=1, ordering_key="k")

    [revived] = publish_one(1, ordering_key="k")

    assert revived > later
    assert Message.objects.get(pk=revived).due_at == Message.objects.get(pk=revived).expires_at


def test_what_was_withdrawn_after_it_had_been_started_is_not_revived_silently(listen):
    listen()
    publish_one(1)
    Message.objects.update(attempts=1)
    withdraw_one()

    with transaction.atomic():
        with pytest.raises(KeyReused, match=r"withdrawn after it had been started.*: test\.sold 'one'"):
            publish_many([Draft(TOPIC, key=key, payload=1) for key in ("one", "other")])
        [id] = publish(TOPIC, key="two", payload=1)

    assert found() == [("test.till", "failed", "withdrawn", 1), ("test.till", "pending", "", 0)]
    assert Message.objects.get(key="two").pk == id


def test_a_call_that_names_what_had_been_started_revives_nothing_else(listen):
    listen()
    with transaction.atomic():
        publish_many([Draft(TOPIC, key=key, payload=1) for key in ("one", "two")])
        outbox.withdraw(TOPIC, key="two")
    Message.objects.filter(key="one").update(attempts=1)
    withdraw_one()
    before = list(Message.objects.values_list("pk", "resolution"))

    with (
        transaction.atomic(),
        pytest.raises(KeyReused, match=r"withdrawn after it had been started.*: test\.sold 'one'"),
    ):
        publish_many([Draft(TOPIC, key=key, payload=1) for key in ("one", "two")])

    assert list(Message.objects.values_list("pk", "resolution")) == before


def test_nothing_is_revived_by_a_call_that_is_refused(listen):
    listen(name="test.a")
    with transaction.atomic():
        publish_many([Draft(TOPIC, key=key, payload=1) for key in ("one", "kept")])
    withdraw_one()

    with transaction.atomic(), pytest.raises(KeyReused, match=r"another payload: test\.sold 'kept'"):
        publish_many([Draft(TOPIC, key=key, payload=2) for key in ("one", "kept")])
    with transaction.atomic(), pytest.raises(KeyReused, match=r"another payload: test\.sold 'one'"):
        publish_many([Draft(TOPIC, key="one", payload=payload) for payload in (2, 3)])

    assert found() == [("test.a", "pending", "", 0), ("test.a", "failed", "withdrawn", 0)]
    assert Message.objects.get(key="one").payload == 1


@pytest.mark.services
def test_of_two_who_revive_an_event_at_once_one_writes_it(listen):
    listen()
    publish_one(1)
    withdraw_one()

    written = at_once(lambda: publish_one(2), lambda: publish_one(2))

    assert sorted(len(ids) for ids in written) == [0, 1]
    assert found() == [("test.till", "pending", "", 0)]


def test_what_is_revived_for_one_consumer_is_a_no_op_for_the_others(listen):
    listen(name="test.a")
    listen(name="test.b")
    publish_one(1)
    withdraw_one(consumers=["test.a"])
    kept = Message.objects.get(consumer="test.b").pk

    [id] = publish_one(1)

    assert found() == [("test.b", "pending", "", 0), ("test.a", "pending", "", 0)]
    assert list(Message.objects.order_by("id").values_list("pk", flat=True)) == [kept, id]
