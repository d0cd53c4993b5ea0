"""A consumer's timeout is a limit: whatever a handler hangs in, its message has timed out and its neighbours go on."""

import contextlib
import socket
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction

from outbox import Backoff
from outbox.delivery import chunks, hard_end, starting
from outbox.delivery.time_limits import Call
from outbox.models import Message
from tests.harness.messages import effects, kept_attempts, publish_message, publish_messages, state_of, states_of
from tests.shop.consumers import leave_effect

pytestmark = [pytest.mark.usefixtures("transactional_db", "dispatched"), pytest.mark.services]

SHORT = timedelta(milliseconds=400)
LATER = Backoff(limit=3, first=timedelta(hours=1), jitter=0)
TOO_LONG = 30
"""Seconds that no handler here may get."""
SAID = "TimeLimitReached: the handler took longer than its timeout of 0.4 s"


def run_sql(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def sleep():
    time.sleep(TOO_LONG)


def loop():
    until = time.monotonic() + TOO_LONG
    while time.monotonic() < until:
        pass


def listen_to_a_socket():
    here, there = socket.socketpair()
    with here, there:
        here.recv(1)


def ask_the_database():
    run_sql(f"SELECT pg_sleep({TOO_LONG})")


def ask_after_a_while():
    time.sleep(0.3)
    ask_the_database()


def ask_without_the_servers_limit():
    run_sql("SET LOCAL statement_timeout = 0")
    ask_the_database()


HANGS = [sleep, loop, listen_to_a_socket, ask_the_database, ask_after_a_while, ask_without_the_servers_limit]


def in_a_thread(call):
    """Make the call in a thread with a connection of its own."""

    def run():
        try:
            call()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(TOO_LONG)
    assert not thread.is_alive()


@pytest.mark.parametrize("hang", HANGS)
@pytest.mark.parametrize("position", [0, 1, 3])
def test_a_handler_that_hangs_is_broken_off_and_its_neighbours_succeed(listen, hang, position):
    tries = []

    def handler(message):
        tries.append(message.pk)
        leave_effect(message)
        if message.pk == guilty:
            hang()

    listen(handler, timeout=SHORT, retry=LATER)
    ids = publish_messages(4)
    guilty = ids[position]
    began = time.monotonic()

    chunks.deliver("test.till", ids)

    assert time.monotonic() - began < TOO_LONG
    assert sorted(tries) == ids
    assert state_of(guilty)[:3] == ("pending", 1, 3)
    assert kept_attempts(guilty) == [(1, "failed", SAID)]
    neighbours = [id for id in ids if id != guilty]
    assert {state.status for state in states_of(neighbours)} == {"success"}
    assert sorted(id for id, _attempt in effects()) == neighbours


def swallow_everything():
    with contextlib.suppress(BaseException):
        time.sleep(TOO_LONG)


def swallow_the_cancelled_statement():
    try:
        with transaction.atomic():
            ask_the_database()
    except Exception:  # what is tested
        pass


def swallow_and_go_on():
    swallow_everything()
    time.sleep(TOO_LONG)


def swallow_and_raise():
    try:
        time.sleep(TOO_LONG)
    except BaseException as error:
        raise ValueError("the till is jammed") from error


@pytest.mark.parametrize(
    "hang", [swallow_everything, swallow_the_cancelled_statement, swallow_and_go_on, swallow_and_raise]
)
def test_a_handler_that_swallows_its_breaking_off_has_timed_out_all_the_same(listen, hang):
    def handler(message):
        leave_effect(message)
        hang()

    listen(handler, timeout=SHORT, retry=LATER)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert kept_attempts(id) == [(1, "failed", SAID)]
    assert (state_of(id).status, effects()) == ("pending", [])


def test_a_message_that_times_out_again_and_again_has_failed_for_that_reason(listen):
    listen(lambda _message: sleep(), timeout=SHORT, retry=Backoff(limit=1))
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert (state_of(id).status, state_of(id).reason) == ("failed", "timed_out")


def test_the_rows_after_one_that_took_the_chunks_time_are_given_back_for_free(listen, configure):
    configure(CHUNK_TIME=timedelta(milliseconds=300), HINT_TIME=timedelta(milliseconds=1))
    listen(lambda message: sleep() if message.pk == ids[0] else leave_effect(message), timeout=SHORT, retry=LATER)
    ids = publish_messages(3)

    chunks.deliver("test.till", ids)

    assert kept_attempts(ids[0]) == [(1, "failed", SAID)]
    assert [(state.status, state.attempts, state.attempt_limit) for state in states_of(ids[1:])] == [
        ("pending", 1, 4)
    ] * 2


def test_a_bulk_consumer_that_hangs_on_one_message_handles_the_others_alone(listen):
    def handler(messages):
        if any(message.pk == ids[1] for message in messages):
            sleep()
        for message in messages:
            leave_effect(message)

    listen(handler, timeout=SHORT, retry=LATER, bulk=True)
    ids = publish_messages(3)

    chunks.deliver("test.till", ids)

    assert [state.status for state in states_of(ids)] == ["success", "pending", "success"]
    assert kept_attempts(ids[1]) == [(1, "failed", SAID)]


def test_in_a_thread_a_statement_that_hangs_is_broken_off(listen):
    listen(lambda _message: ask_the_database(), timeout=SHORT, retry=LATER)
    id = publish_message()

    in_a_thread(lambda: chunks.deliver("test.till", [id]))

    assert kept_attempts(id) == [(1, "failed", SAID)]


def test_in_a_thread_a_handler_that_comes_back_too_late_has_timed_out(listen):
    def handler(message):
        leave_effect(message)
        time.sleep(SHORT.total_seconds() * 2)

    listen(handler, timeout=SHORT, retry=LATER)
    id = publish_message()

    in_a_thread(lambda: chunks.deliver("test.till", [id]))

    assert kept_attempts(id) == [(1, "failed", SAID)]
    assert effects() == []


def test_outside_a_transaction_a_late_result_stands_as_what_was_done_cannot_be_taken_back(order):
    order(lambda _message: time.sleep(2.2))
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id).status == "success"


@pytest.mark.parametrize(("given", "in_force"), [("0", "3s"), ("1500ms", "1500ms"), ("1h", "3s"), ("1d", "3s")])
def test_a_statement_has_the_limit_of_its_consumer_unless_the_session_has_a_shorter_one(listen, given, in_force):
    seen = []

    def handler(_message):
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            seen.append(cursor.fetchone()[0])

    entry = listen(handler, timeout=timedelta(seconds=2))
    [row] = starting.start_named(entry, [publish_message()])
    run_sql(f"SET statement_timeout = '{given}'")
    try:
        chunks.deliver_together(entry, [row])
    finally:
        connection.close()

    assert seen == [in_force]


def test_when_a_process_is_ended_the_message_has_timed_out_and_its_neighbours_are_given_back(listen):
    entry = listen(timeout=SHORT, retry=LATER)
    ids = publish_messages(3)
    of_another_worker = publish_message()
    rows = starting.start_named(entry, ids)
    in_a_thread(lambda: starting.start_named(entry, [of_another_worker]))
    [message] = Message.objects.held([rows[1].fence])

    hard_end.settle(Call(entry, [message]), "at the till")

    assert [state.status for state in states_of(ids)] == ["pending"] * 3
    assert [(number, outcome) for number, outcome, _error in kept_attempts(ids[1])] == [(1, "failed")]
    assert "did not end" in state_of(ids[1]).last_error
    lost = dict(Message.objects.values_list("pk", "lost"))
    assert [lost[id] for id in ids] == [0, 1, 0]
    limits = dict(Message.objects.values_list("pk", "attempt_limit"))
    assert [limits[id] for id in ids] == [4, 3, 4]
    assert kept_attempts(ids[0]) == kept_attempts(ids[2]) == []
    assert state_of(of_another_worker).status == "started"


def test_of_several_messages_in_the_call_that_ended_the_process_nobody_knows_the_guilty_one(listen):
    entry = listen(timeout=SHORT, retry=LATER, bulk=True)
    ids = publish_messages(2)
    rows = starting.start_named(entry, ids)
    messages = list(Message.objects.held([row.fence for row in rows]))

    hard_end.settle(Call(entry, messages), "at the till")

    assert [(number, outcome) for number, outcome, _error in kept_attempts(ids[0])] == [(1, "lost")]
    assert set(Message.objects.values_list("lost", "attempt_limit")) == {(1, 4)}


def test_a_message_that_was_overtaken_is_left_alone_when_a_process_is_ended(listen):
    entry = listen(timeout=SHORT, retry=LATER)
    id = publish_message()
    [row] = starting.start_named(entry, [id])
    [message] = Message.objects.held([row.fence])
    Message.objects.filter(pk=id).update(attempts=2, worker="another")

    hard_end.settle(Call(entry, [message]), "at the till")

    assert (state_of(id).status, kept_attempts(id)) == ("started", [])
