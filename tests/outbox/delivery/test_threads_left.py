"""A handler that leaves threads running has succeeded; that nobody waits for them is said, once for a consumer."""

import logging
import threading

import pytest

from outbox.delivery import chunks
from outbox.models import Message
from tests.harness.messages import publish_message

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


@pytest.fixture
def said(caplog):
    """Return a function that gives what was said of threads."""
    caplog.set_level(logging.WARNING, "outbox.delivery")
    return lambda: [record.getMessage() for record in caplog.records if "threads" in record.getMessage()]


@pytest.fixture
def end():
    """What the threads of a test wait for."""
    end = threading.Event()
    yield end
    end.set()


def test_a_handler_that_leaves_a_thread_running_is_named_once(listen, said, end):
    def leave(_message):
        threading.Thread(target=end.wait, name="mailer", daemon=True).start()

    listen(leave)

    for _time in range(3):
        chunks.deliver("test.till", [publish_message()])

    assert set(Message.objects.values_list("status", flat=True)) == {"success"}
    assert len(said()) == 1
    assert said()[0].startswith("test.till: the handler returned while threads that it had started go on (mailer).")


def test_a_handler_that_waits_for_its_threads_is_not(listen, said):
    def wait(_message):
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()

    listen(wait)
    chunks.deliver("test.till", [publish_message()])

    assert said() == []


def test_what_was_there_before_the_call_is_nobodys(listen, said, end):
    threading.Thread(target=end.wait, daemon=True).start()
    listen()

    chunks.deliver("test.till", [publish_message()])

    assert said() == []
