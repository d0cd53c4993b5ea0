"""The thread of a control worker in which operations go on: one at a time, as long as there is something to do."""

import threading
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from outbox import tasks
from outbox.bulk import running
from outbox.bulk.runner import Runner, runner
from outbox.models import BulkOperation
from outbox.models.bulk import BulkState
from tests.harness.bulk import failed_messages, now, started, succeed

pytestmark = pytest.mark.django_db(transaction=True)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "outbox.bulk"]


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "it did not come about in 20 s"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Any:
    yield
    BulkOperation.objects.all().delete()
    wait_for(lambda: not threads())


def test_where_nothing_is_to_do_there_is_no_thread() -> None:
    Runner().see_to_it()

    assert threads() == []


def test_an_operation_goes_on_by_itself_without_another_tick_of_beat() -> None:
    failed_messages(60)
    operation = started(rate=40)

    Runner().see_to_it()

    wait_for(lambda: now(operation).done == 60)


def test_every_tick_finds_the_one_thread_there() -> None:
    failed_messages(60)
    started(rate=10)
    ours = Runner()

    for _ in range(5):
        ours.see_to_it()
        assert len(threads()) == 1


def test_the_thread_ends_with_the_last_operation() -> None:
    failed_messages(3)
    operation = started()
    Runner().see_to_it()
    wait_for(lambda: now(operation).done == 3)

    succeed()

    wait_for(lambda: not threads())
    assert now(operation).state == BulkState.DONE


def test_what_breaks_a_pass_is_said_and_the_next_tick_begins_anew(caplog: Any) -> None:
    failed_messages(3)
    operation = started()
    ours = Runner()
    with mock.patch.object(running, "go_on", side_effect=ValueError("no disk")):
        ours.see_to_it()
        wait_for(lambda: not threads())
    assert now(operation).done == 0

    ours.see_to_it()

    wait_for(lambda: now(operation).done == 3)
    assert "bulk operations could not go on" in caplog.text


def test_a_worker_s_task_leaves_it_to_the_thread() -> None:
    failed_messages(3)
    started()
    with mock.patch.object(runner, "see_to_it") as left, mock.patch.object(running, "go_on") as done_itself:
        task = tasks.run_bulk
        task.push_request(called_directly=False, is_eager=False)
        try:
            task.run()
        finally:
            task.pop_request()

    assert (left.call_count, done_itself.call_count) == (1, 0)
