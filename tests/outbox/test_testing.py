"""``outbox.testing`` in a test's own transaction: whatever can become of a message, without waiting for it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.test import TestCase

from outbox import Backoff, Message, Reject, Snooze, Unavailable, consumer, publish, registry
from outbox.broker import dispatcher
from outbox.conf import conf
from outbox.errors import OutboxError, OutsideTransaction
from outbox.models import ConsumerState
from outbox.testing import Delivery, captured_messages, deliver_pending, silenced

pytestmark = pytest.mark.django_db

Handle = Callable[..., object]


@pytest.fixture
def hears() -> Iterator[Callable[..., list[str]]]:
    """Return a function that makes a consumer which does the next thing of a list, and notes the keys it was given."""
    names: list[str] = []

    def make(*does: Exception | None, name: str = "test.ear", topic: str = "test.said", **options: Any) -> list[str]:
        heard: list[str] = []
        actions = iter(does)

        def handle(message: Message) -> None:
            heard.append(message.key)
            if action := next(actions, None):
                raise action

        consumer(topic, name=name, **{"retry": Backoff(limit=3, first=timedelta(hours=1)), **options})(handle)
        names.append(name)
        return heard

    yield make
    for name in names:
        registry.forget_consumer(name)


def say(*keys: str, **options: Any) -> None:
    with transaction.atomic():
        for key in keys:
            publish("test.said", key=key, payload={}, **options)


def outcomes(deliveries: list[Delivery]) -> dict[str, tuple[str, ...]]:
    return {delivery.message.key: delivery.outcomes for delivery in deliveries}


def test_what_is_pending_is_delivered_once(hears):
    heard = hears()
    say("a", "b")

    [first, second] = deliver_pending()

    assert (first.message.key, first.message.status, first.outcomes) == ("a", "success", ("success",))
    assert (second.message.key, second.outcomes) == ("b", ("success",))
    assert deliver_pending() == []
    assert heard == ["a", "b"]


def test_a_failed_attempt_waits_unless_waits_are_ignored(hears):
    hears(ValueError("jammed"))
    say("a")

    assert outcomes(deliver_pending()) == {"a": ("failed",)}
    assert deliver_pending() == []
    assert outcomes(deliver_pending(ignore_waits=True)) == {"a": ("success",)}


@pytest.mark.parametrize(
    ("does", "ends", "status"),
    [
        ([ValueError("no"), ValueError("no")], ("failed", "failed", "success"), "success"),
        ([ValueError("no")] * 3, ("failed", "failed", "failed"), "failed"),
        ([Reject("never")], ("rejected",), "failed"),
        ([Snooze(timedelta(days=1)), None], ("snoozed", "success"), "success"),
        ([Unavailable("down"), ValueError("no"), None], ("unavailable", "failed", "success"), "success"),
    ],
)
@pytest.mark.parametrize("atomic", [True, False])
def test_with_waits_ignored_a_message_is_tried_until_it_is_finished(hears, does, ends, status, atomic):
    hears(*does, atomic=atomic)
    say("a")

    [delivery] = deliver_pending(ignore_waits=True)

    assert (delivery.outcomes, delivery.message.status) == (ends, status)


def test_a_snooze_without_end_ends_after_so_many_rounds(hears):
    hears(*[Snooze(timedelta(days=1))] * 100)
    say("a")

    [delivery] = deliver_pending(ignore_waits=True, rounds=4)

    assert (delivery.outcomes, delivery.message.status) == (("snoozed",) * 4, "pending")


def test_an_open_breaker_is_probed_at_once(hears):
    hears(*[Unavailable("down")] * 5)
    say("a", "b", "c", "d")

    found = outcomes(deliver_pending(ignore_waits=True))

    assert {ends[-1] for ends in found.values()} == {"success"}
    assert sum(ends.count("unavailable") for ends in found.values()) == 5


def test_a_delayed_message_is_delivered_only_with_waits_ignored(hears):
    hears()
    say("a", delay=timedelta(hours=1))

    assert deliver_pending() == []
    assert outcomes(deliver_pending(ignore_waits=True)) == {"a": ("success",)}


def test_more_than_a_chunk_is_delivered(hears):
    heard = hears()
    keys = [f"{number:03}" for number in range(120)]
    say(*keys)

    assert outcomes(deliver_pending()) == dict.fromkeys(keys, ("success",))
    assert heard == keys


def test_what_has_an_ordering_key_is_delivered_in_order(hears):
    heard = hears(ValueError("stumbled"))
    say("a", "b", "c", ordering_key="one by one")

    found = outcomes(deliver_pending(ignore_waits=True))

    assert heard == ["a", "a", "b", "c"]
    assert found == {"a": ("failed", "success"), "b": ("success",), "c": ("success",)}


def test_only_the_consumer_that_is_named_is_run_by_name_or_by_function(hears):
    first, second = hears(), hears(name="test.other")
    say("a")

    assert len(deliver_pending("test.other")) == 1
    assert (first, second) == ([], ["a"])
    handler = registry.get("test.ear").handler
    assert len(deliver_pending(handler)) == 1
    assert (first, second) == (["a"], ["a"])
    with pytest.raises(LookupError, match=r"test\.nobody"):
        deliver_pending("test.nobody")


def test_what_a_handler_publishes_is_delivered_too(hears):
    heard = hears(topic="test.echoed", name="test.echo")
    consumer("test.said", name="test.wall")(lambda message: publish("test.echoed", key=message.key, payload={}))
    say("a")

    try:
        assert [delivery.message.consumer for delivery in deliver_pending()] == ["test.wall", "test.echo"]
    finally:
        registry.forget_consumer("test.wall")
    assert heard == ["a"]


def test_a_row_that_a_worker_was_lost_over_is_delivered_alone(hears):
    heard = hears()
    say("a", "b", "c")
    Message.objects.filter(key="b").update(lost=2)

    assert len(deliver_pending()) == 3
    assert heard == ["a", "c", "b"]


def test_a_paused_consumer_is_left_alone(hears):
    heard = hears()
    say("a")
    ConsumerState.objects.create(consumer="test.ear", paused_at=Now(), paused_by="ada")

    assert deliver_pending(ignore_waits=True) == []
    assert heard == []


def test_the_test_s_own_transaction_is_not_the_caller_s(hears):
    hears()

    with pytest.raises(OutsideTransaction):
        publish("test.said", key="a", payload={})


def test_a_consumer_outside_a_transaction_that_publishes_in_none_is_found_out(hears):
    hears()

    def tell(message: Message) -> None:
        publish("test.said", key=message.key, payload={})

    consumer("test.told", name="test.mouth", atomic=False)(tell)
    with transaction.atomic():
        publish("test.told", key="a", payload={})

    try:
        [delivery] = deliver_pending(tell)
    finally:
        registry.forget_consumer("test.mouth")

    assert delivery.outcomes == ("failed",)
    assert delivery.message.last_error.startswith("OutsideTransaction")


def test_within_a_transaction_of_ones_own_nothing_is_delivered_and_it_is_said_why(hears):
    hears()

    with transaction.atomic(), pytest.raises(OutboxError, match=r"inside transaction\.atomic\(\)"):
        deliver_pending()


def test_captured_are_the_messages_that_are_new_and_stay(hears):
    hears(), hears(name="test.other")
    say("before")

    with captured_messages() as messages:
        say("before", "new")
        with transaction.atomic():
            say("rolled back")
            transaction.set_rollback(True)

    assert [(message.key, message.consumer) for message in messages] == [("new", "test.ear"), ("new", "test.other")]


@pytest.mark.parametrize("block", [silenced, captured_messages])
def test_no_hint_is_sent_from_within(hears, monkeypatch, block):
    hears()
    dispatched: list[object] = []
    monkeypatch.setattr(dispatcher, "dispatch", dispatched.append)

    with block(), TestCase.captureOnCommitCallbacks(using=conf().database, execute=True):
        say("a")
    assert dispatched == []

    with TestCase.captureOnCommitCallbacks(using=conf().database, execute=True):
        say("b")
    assert len(dispatched) == 1
