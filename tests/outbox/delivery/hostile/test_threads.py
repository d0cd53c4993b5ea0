"""Handlers that start threads, which go on after their message is done."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from outbox import publish
from tests.outbox.delivery.hostile.oracle import Case, pairs

pytestmark = pytest.mark.services


def in_a_thread(work, *, wait=True):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    if wait:
        thread.join()


def a_session_of_its_own_left_open(_message):
    def work():
        with connection.cursor() as cursor:
            cursor.execute("BEGIN; SELECT 1")

    in_a_thread(work)


def an_error_in_the_thread(_message):
    def work():
        raise ValueError("in the thread")

    in_a_thread(work)


def our_session_in_the_thread(_message):
    ours, refused = connections["default"], []

    def work():
        try:
            ours.cursor()
        except Exception as error:
            refused.append(error)

    in_a_thread(work)
    assert refused


def our_driver_in_the_thread(_message):
    raw = connection.connection

    def work():
        if raw is not None:
            raw.cursor().execute("SELECT 1")

    in_a_thread(work)


def holds_the_interpreter(_message):
    def work():
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            sum(range(10_000))

    in_a_thread(work, wait=False)


def a_pool_that_is_left(_message):
    ThreadPoolExecutor(2).submit(time.sleep, 0.2)


def publishes(message):
    def work():
        publish("test.nobody", key=f"from {message.pk}")
        connections.close_all()

    in_a_thread(work)


def a_setting_of_its_own_session(_message):
    def work():
        with connection.cursor() as cursor:
            cursor.execute("SET search_path TO pg_catalog")

    in_a_thread(work)


def waits_for_a_lock_of_ours(message):
    def work():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
            cursor.execute("SELECT 1 FROM outbox_message WHERE id = %s FOR UPDATE", [message.pk])

    in_a_thread(work)


def asks_for_settling(message):
    in_a_thread(message.settling)


CASES = [
    Case("thread", "a session of its own is left open", a_session_of_its_own_left_open),
    Case("thread", "an error in the thread", an_error_in_the_thread),
    Case("thread", "our connection in the thread", our_session_in_the_thread),
    Case("thread", "our driver's connection in the thread", our_driver_in_the_thread),
    Case("thread", "holds the interpreter", holds_the_interpreter),
    Case("thread", "a pool that is left", a_pool_that_is_left),
    Case("thread", "publishes", publishes),
    Case("thread", "changes the setting of its own session", a_setting_of_its_own_session),
    Case("thread", "waits for a lock of ours", waits_for_a_lock_of_ours),
    Case("thread", "asks for settling()", asks_for_settling),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_starts_a_thread_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
