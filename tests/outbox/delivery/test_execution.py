"""Errors of a handler: kept readable, never swallowed, and never more than one message's."""

import logging
from datetime import timedelta

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models.functions import Now

from outbox import Message, Reject, Snooze, Unavailable
from outbox.delivery import chunks
from outbox.models import Attempt
from tests.harness.messages import (
    MessageState,
    effects,
    kept_attempts,
    publish_message,
    state_of,
    states_of,
)
from tests.shop.models import Effect, Stock

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def test_an_error_with_characters_no_database_stores_is_kept_readable(listen, caplog):
    def fail(_message):
        raise ValueError("a NUL \0 and half a \ud83d")

    listen(fail)
    id = publish_message()

    chunks.deliver("test.till", [id])

    error = "ValueError: a NUL \\0 and half a \\ud83d"
    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=3, last_error=error)
    assert kept_attempts(id) == [(1, "failed", error)]
    assert caplog.text.encode().decode().count(error) == 1


def test_an_error_that_cannot_even_be_read_is_a_failed_attempt(listen):
    class Unreadable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def fail(_message):
        raise Unreadable

    listen(fail)
    good, bad = publish_message(), publish_message()

    chunks.deliver("test.till", [good, bad])

    assert [entry.status for entry in states_of([good, bad])] == ["pending", "pending"]
    assert [entry.attempts for entry in states_of([good, bad])] == [1, 1]


def test_a_very_long_error_is_cut(listen):
    listen()
    id = publish_message(do="fail", text="x" * 100_000)

    chunks.deliver("test.till", [id])

    assert state_of(id).last_error == ("ValueError: " + "x" * 100_000)[:2_000]
    assert len(Attempt.objects.get().traceback) == 20_000


def test_a_handler_that_swallows_a_database_error_has_not_succeeded(listen):
    def swallow(message):
        Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=1)
        try:
            Stock.objects.create(pk=1)
        except IntegrityError:
            return

    listen(swallow)
    Stock.objects.create(pk=1)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert effects() == []
    assert state_of(id).status == "pending"
    [(number, outcome, error)] = kept_attempts(id)
    assert (number, outcome) == (1, "failed")
    assert error.startswith("SwallowedError: the handler caught a database error")


@pytest.mark.services
def test_statements_of_its_own_that_a_handler_let_fail_spoil_its_row_and_no_other(listen):
    def swallow(message):
        Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=1)
        if message.key == "bad":
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1 / 0")
            except DataError:
                return

    listen(swallow)
    ids = [publish_message(key=key) for key in ("before", "bad", "after")]

    chunks.deliver("test.till", ids)

    assert [entry.status for entry in states_of(ids)] == ["success", "pending", "success"]
    assert effects() == [(ids[0], 1), (ids[2], 1)]
    assert kept_attempts(ids[1])[0][2].startswith("SwallowedError")


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize(
    ("error", "level"),
    [
        (ValueError("no"), "ERROR"),
        (Reject("never"), "ERROR"),
        (Snooze(timedelta(seconds=9)), "INFO"),
        (Unavailable("down"), "INFO"),
    ],
    ids=repr,
)
def test_a_failed_attempt_is_one_error_with_its_traceback_and_a_wait_is_none(listen, caplog, atomic, error, level):
    def fail(_message):
        raise error

    listen(fail, atomic=atomic)
    id = publish_message()

    with caplog.at_level(logging.INFO, "outbox"):
        chunks.deliver("test.till", [id])

    [record] = [record for record in caplog.records if f"message {id}" in record.getMessage()]
    assert record.levelname == level
    if level == "ERROR":
        assert record.name == "outbox.consumer.test.till"
        assert record.getMessage().startswith(f"message {id} of test.till, attempt 1: ")
        assert record.exc_info[1] is error
        assert record.exc_info[2] is not None
    else:
        assert (record.name, record.exc_info) == ("outbox.delivery", None)


def test_a_snooze_without_a_span_waits_a_minute_costs_no_attempt_and_says_so(listen, caplog):
    def too_early(_message):
        raise Snooze(3)

    listen(too_early)
    id = publish_message()

    chunks.deliver("test.till", [id])

    sentence = "Snooze takes a timedelta greater than zero and of at most a year, not 3; waiting 0:01:00 instead"
    state = state_of(id)
    assert (state.status, state.attempts, state.attempt_limit) == ("pending", 1, 4)
    assert state.last_error == f"Snooze: {sentence}"
    assert Message.objects.filter(pk=id, not_before__gt=Now() + timedelta(seconds=50)).exists()
    ours = [record for record in caplog.records if record.name.startswith("outbox.")]
    assert [(record.levelname, sentence in record.getMessage()) for record in ours] == [("WARNING", True)]


@pytest.mark.parametrize(
    ("after", "waits", "said"),
    [(30, True, "taken for 0:00:30"), (-1, False, "it was left out"), ("soon", False, "it was left out")],
)
def test_an_unavailable_without_a_span_says_so_and_takes_a_number_for_seconds(listen, caplog, after, waits, said):
    def down(_message):
        raise Unavailable("busy", after=after)

    listen(down)
    id = publish_message()

    chunks.deliver("test.till", [id])

    sentence = f"busy (Unavailable takes after= as a timedelta greater than zero, not {after!r}; {said})"
    assert state_of(id).last_error == f"Unavailable: {sentence}"
    assert Message.objects.filter(pk=id, not_before__gt=Now() + timedelta(seconds=20)).exists() is waits
    assert any(sentence in record.getMessage() for record in caplog.records if record.levelname == "WARNING")


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("returned", [Reject("not for sale"), Snooze, ValueError("jammed")])
def test_an_error_that_is_returned_instead_of_raised_is_no_success(listen, atomic, returned):
    listen(lambda _message: returned, atomic=atomic)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id).status == "pending"
    assert "test.till returned" in state_of(id).last_error
    assert "it must raise it instead" in state_of(id).last_error


def test_a_handler_that_catches_an_error_in_its_own_savepoint_succeeds(listen):
    def careful(message):
        Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=1)
        try:
            with transaction.atomic():
                Stock.objects.create(pk=1)
        except IntegrityError:
            return

    listen(careful)
    Stock.objects.create(pk=1)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("success", attempts=1, attempt_limit=3)
    assert effects() == [(id, 1)]


def test_reject_is_told_apart_from_an_error_of_the_same_name(listen):
    class Reject_(Reject):
        pass

    def fail(_message):
        raise Reject_("never")

    listen(fail)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState(
        "failed", attempts=1, attempt_limit=3, last_error="Reject_: never", reason="rejected"
    )


async def _later(_message):
    """Never runs."""


def _bit_by_bit(_message):
    yield


@pytest.mark.parametrize("handler", [_later, _bit_by_bit])
def test_what_would_not_have_run_is_a_failed_attempt_even_behind_a_lambda(listen, handler):
    listen(lambda message: handler(message))
    id = publish_message()

    chunks.deliver("test.till", [id])

    [(number, outcome, error)] = kept_attempts(id)
    assert (state_of(id).status, number, outcome) == ("pending", 1, "failed")
    assert "which has not run; a consumer is a plain function" in error


def test_a_handler_that_ends_its_process_says_so_in_the_log(listen, caplog):
    def leave(_message):
        raise SystemExit(3)

    listen(leave)
    id = publish_message()

    with pytest.raises(SystemExit):
        chunks.deliver("test.till", [id])

    assert "the handler ended its process: SystemExit(3)" in caplog.text
    assert state_of(id).status == "started"
