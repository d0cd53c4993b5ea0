"""What handlers do in a rehearsal, by the word in the payload: what a rollback undoes, and what it does not."""

import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import psycopg2
from celery import shared_task
from django.core.cache import cache
from django.core.mail import send_mail
from django.db import connection, transaction

from outbox import Message, Reject, Snooze, Unavailable, publish
from tests.shop.models import Effect, Tag


@shared_task(name="shop.never_sent")
def never_sent() -> None:
    """Be sent by a handler that is only rehearsed: to nobody."""


def _in_sql(sql: str) -> Callable[[Message], None]:
    def execute(_message: Message) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    return execute


def _raise(error: Callable[[], Exception]) -> Callable[[Message], None]:
    def fail(_message: Message) -> None:
        raise error()

    return fail


def _swallow(_message: Message) -> None:
    with suppress(Exception):
        socket.create_connection(("127.0.0.1", 9), timeout=1)


def _in_a_thread(_message: Message) -> None:
    failed: list[BaseException] = []

    def write() -> None:
        try:
            Effect.objects.create(key="in a thread", message_id=1, attempt=1, pid=1)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def _hook(message: Message) -> None:
    transaction.on_commit(lambda: Effect.objects.create(key=f"hook {message.key}", message_id=1, attempt=1, pid=1))


def _write_a_file(_message: Message) -> None:
    with open(os.path.join(tempfile.gettempdir(), f"rehearsed-{os.getpid()}"), "w") as file:
        file.write("kept")


def _wait_at_the_lock(_message: Message) -> None:
    _in_sql("SELECT count(*) FROM (SELECT id FROM shop_stock FOR UPDATE) AS locked")(_message)


REHEARSED: dict[str, Callable[[Message], object]] = {
    "": lambda _message: None,
    "fail": _raise(lambda: ValueError("the till is jammed")),
    "fail with a colour": _raise(lambda: ValueError("\x1b[31mred")),
    "reject": _raise(lambda: Reject("not for sale")),
    "snooze": _raise(lambda: Snooze(timedelta(seconds=60))),
    "unavailable": _raise(lambda: Unavailable("the bank does not answer")),
    "fail at COMMIT": lambda _message: Tag.objects.create(name="taken"),
    "publish": lambda message: publish("shop.sold", key=f"published {message.key}", payload={}),
    "hook": _hook,
    "cache": lambda _message: cache.set("rehearsed", "kept", None),
    "mail": lambda _message: send_mail("rehearsed", "", None, ["a@example.org"]),
    "celery": lambda _message: never_sent.delay(),
    "COMMIT": _in_sql("COMMIT"),
    "ROLLBACK": _in_sql("ROLLBACK"),
    "advisory lock": _in_sql("SELECT pg_advisory_lock(4711)"),
    "setting": _in_sql("SET statement_timeout = '17s'"),
    "wait for a lock": _wait_at_the_lock,
    "socket": lambda _message: socket.create_connection(("127.0.0.1", 9), timeout=1),
    "socket, swallowed": _swallow,
    "file": _write_a_file,
    "process": lambda _message: subprocess.run(["true"], check=True),
    "thread": _in_a_thread,
    "connection": lambda _message: psycopg2.connect(host="127.0.0.1"),
    "another database": lambda message: Effect.objects.using("beside").create(
        key=message.key, message_id=message.pk, attempt=1, pid=1
    ),
    "sleep": lambda message: time.sleep(message.payload["seconds"]),
    "exit": lambda _message: os._exit(3),
    "kill": lambda _message: os.kill(os.getpid(), signal.SIGKILL),
}
