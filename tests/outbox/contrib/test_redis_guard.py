"""The guard in Redis: an effect is made once, and where nobody knows, a person is asked."""

import threading
from datetime import timedelta

import pytest

from outbox import MayHaveHappened, Reject, Snooze, Unavailable, operate
from outbox.conf import conf
from outbox.contrib import redis_heart, redis_scripts
from outbox.contrib.redis_guard import once
from outbox.delivery import chunks
from outbox.models import HandledAs, Message
from tests.harness.messages import kept_attempts, publish_message, state_of
from tests.harness.program import eventually
from tests.outbox.contrib.guarded import ConnectError, Vendor, guarded, retry_by_hand, try_again

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched", "link", "redis")


def test_the_effect_is_made_and_a_second_call_skips_it(listen, redis):
    vendor = Vendor()
    guarded(listen, vendor)
    id = publish_message()

    chunks.deliver("test.till", [id])
    vendor(Message.objects.get(pk=id))

    assert (vendor.calls, vendor.skipped, state_of(id).status) == (1, 1, "success")


def test_several_effects_of_a_handler_are_guarded_each(redis, listen):
    listen()
    message = Message.objects.get(pk=publish_message())
    mine = []
    for effect in ("sms", "letter", "sms"):
        with once(message, effect=effect) as is_mine:
            mine.append(is_mine)

    assert mine == [True, True, False]


def test_marked_as_handled_it_is_not_made(listen, redis):
    vendor = Vendor(ValueError("the line broke"))
    guarded(listen, vendor)
    id = publish_message()
    chunks.deliver("test.till", [id])

    operate.mark_handled(
        id,
        revision=Message.objects.get(pk=id).revision,
        actor="ada",
        reason="the customer has it",
        outcome=HandledAs.ISSUED,
        evidence="SMS-1",
    )
    chunks.deliver("test.till", [id])

    assert (vendor.calls, state_of(id).status) == (1, "success")


def test_an_error_of_which_nobody_knows_is_the_end_at_once(listen, redis):
    vendor = Vendor(TimeoutError("no answer"))
    guarded(listen, vendor)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert (state_of(id).status, state_of(id).reason, state_of(id).attempts) == ("failed", "effect_unknown", 1)
    assert "TimeoutError" in state_of(id).last_error


def test_a_second_supplier_whose_answer_is_lost_is_not_asked_again_as_the_first_was_not_there(listen, redis):
    sent = []

    def send(message):
        with once(message) as is_mine:
            if is_mine:
                try:
                    raise ConnectError("the first is not there")
                except ConnectError:
                    sent.append(message.pk)
                    raise RuntimeError("the second's gateway has answered nonsense")  # noqa: B904  # as calls raise

    guarded(listen, send)
    id = publish_message()

    chunks.deliver("test.till", [id])
    try_again(id)

    assert (sent, state_of(id).reason) == ([id], "effect_unknown")


@pytest.mark.parametrize("error", [ConnectError("refused"), Snooze(timedelta(seconds=1)), Unavailable("closed")])
def test_what_was_certainly_not_begun_is_tried_again(error, listen, redis):
    vendor = Vendor(error)
    guarded(listen, vendor)
    id = publish_message()

    chunks.deliver("test.till", [id])
    assert state_of(id).status == "pending"
    try_again(id)

    assert (vendor.calls, state_of(id).status) == (2, "success")


def test_what_was_refused_for_good_may_be_retried_by_hand(listen, redis):
    vendor = Vendor(Reject("no such number"))
    guarded(listen, vendor)
    id = publish_message()
    chunks.deliver("test.till", [id])
    assert state_of(id).reason == "rejected"

    retry_by_hand(id)
    try_again(id)

    assert (vendor.calls, state_of(id).status) == (2, "success")


def test_a_guard_that_is_missing_for_what_was_tried_before_is_the_desk_s_question(listen, redis):
    vendor = Vendor(ConnectError("refused"))
    guarded(listen, vendor)
    id = publish_message()
    chunks.deliver("test.till", [id])
    redis.client.flushall()

    try_again(id)

    assert (vendor.calls, state_of(id).reason) == (1, "effect_unknown")
    retry_by_hand(id)
    try_again(id)
    assert (vendor.calls, state_of(id).status) == (2, "success")


def test_no_decision_is_read_out_of_what_is_no_retry(listen, redis, quickly_dead):
    """An operator who hurries a message has not been asked whether its effect has happened."""
    listen()
    message = Message.objects.get(pk=publish_message())
    redis_scripts.take(
        redis.client, f"{conf().prefix}:once:{message.idempotency_key}", "somebody", revision=0,
        retried="", stale=timedelta(0), may_be_absent=True, kept=None,
    )  # fmt: skip
    threading.Event().wait(0.4)
    message.revision, message.attempts = 5, 2

    with pytest.raises(MayHaveHappened, match="somebody had begun"), once(message):
        raise AssertionError("nobody has decided")


def test_while_redis_is_gone_nothing_is_spent_and_then_it_goes_on(listen, redis, monkeypatch):
    monkeypatch.setattr(redis_heart, "EVERY_SECONDS", 0.1)
    vendor = Vendor()
    guarded(listen, vendor)
    id = publish_message()
    redis.kill()
    try:
        chunks.deliver("test.till", [id])
        state = state_of(id)
        assert (vendor.calls, state.status, state.attempts, state.attempt_limit) == (0, "pending", 1, 4)
        assert kept_attempts(id)[0][1] == "unavailable"
    finally:
        redis.start()

    try_again(id)

    assert (vendor.calls, state_of(id).status) == (1, "success")


def test_an_effect_that_redis_could_not_be_told_of_is_told_later(listen, redis, monkeypatch):
    monkeypatch.setattr(redis_heart, "EVERY_SECONDS", 0.1)

    class Killer(Vendor):
        def __call__(self, message):
            with once(message) as is_mine:
                self.calls += is_mine
                redis.kill()

    vendor = Killer()
    guarded(listen, vendor)
    id = publish_message()
    try:
        chunks.deliver("test.till", [id])
        assert (vendor.calls, state_of(id).status) == (1, "success")
    finally:
        redis.start()

    [key] = redis.client.keys("*:once:*")
    eventually(lambda: redis.client.hget(key, "state") == redis_scripts.DONE, within=5)


def test_what_is_taken_never_expires_and_what_is_done_outlives_the_message(listen, redis, configure):
    listen()
    configure(KEEP_FINISHED=timedelta(days=30))
    message = Message.objects.get(pk=publish_message())
    with once(message):
        [key] = redis.client.keys("*:once:*")
        assert redis.client.ttl(key) == -1

    assert redis.client.ttl(key) > timedelta(days=30 + 399).total_seconds()


async def _in_async_code(message):
    with once(message):
        raise AssertionError("it was let in")


def test_it_is_refused_in_async_code(listen, redis):
    import asyncio

    from django.core.exceptions import SynchronousOnlyOperation

    listen()
    message = Message.objects.get(pk=publish_message())

    with pytest.raises(SynchronousOnlyOperation, match="sync_to_async"):
        asyncio.run(_in_async_code(message))
