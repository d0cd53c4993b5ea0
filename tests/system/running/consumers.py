"""Consumers that talk: by loggers of every kind, by print, after the commit, and when they fail."""

import logging
import threading
import time
from datetime import timedelta

from celery.utils.log import get_task_logger
from django.db import transaction

from outbox import Backoff, Message, consumer

log = logging.getLogger("talkative")
task_log = get_task_logger("talkative.task")

QUICK = Backoff(limit=3, first=timedelta(milliseconds=50), jitter=0)

MEETING = threading.Barrier(2)
"""Where two that say ``meet`` wait for each other, in threads of one process."""


def talk(message: Message) -> None:
    words = message.key
    log.info("logging says %s", words)
    task_log.info("task logger says %s", words)
    print(f"print says {words}")
    log.warning("two lines says %s\nERROR forged says %s", words, words)
    time.sleep(message.payload.get("seconds", 0))
    if message.payload.get("meet"):
        MEETING.wait(timeout=10)
    log.info("still says %s", words)
    if message.attempts <= message.payload.get("failures", 0):
        raise ValueError(f"failure says {words}")


@consumer("talk.inside", name="running.inside", retry=QUICK)
def inside(message: Message) -> None:
    """Talk inside the settling transaction, and once it is committed."""
    transaction.on_commit(lambda: log.info("hook says %s", message.key))
    talk(message)


@consumer("talk.outside", name="running.outside", atomic=False, retry=QUICK)
def outside(message: Message) -> None:
    """Talk outside any transaction."""
    talk(message)


@consumer("talk.together", name="running.together", bulk=True, chunk=100, retry=QUICK)
def together(messages: list[Message]) -> None:
    """Talk once for all."""
    log.info("together says %s", " ".join(message.key for message in messages))
