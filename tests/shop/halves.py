"""Writes in another database and in Redis, announced by half messages, and the checks that know what became of them."""

import os
from datetime import timedelta
from typing import Any

import psycopg2
import redis

from outbox import Backoff, Message, check_back, consumer
from outbox.models import Half

TABLE = "CREATE TABLE write (write_id uuid PRIMARY KEY, state text NOT NULL, key text NOT NULL DEFAULT '')"
OFTEN = Backoff(limit=200, first=timedelta(milliseconds=100), factor=1.5, cap=timedelta(seconds=1))

WRITE = """
if redis.call('SET', KEYS[1], 'written', 'NX') then redis.call('SADD', KEYS[2], ARGV[1]) return 1 end
return redis.error_reply('void: ' .. KEYS[1])
"""
MAKE_VOID = "redis.call('SET', KEYS[1], 'void', 'NX') return redis.call('GET', KEYS[1])"


class Refused(Exception):
    """The other side has made the write void."""


def other_database() -> Any:
    return psycopg2.connect(os.environ["OTHER_DATABASE"])


def other_redis() -> "redis.Redis":
    return redis.Redis.from_url(os.environ["OTHER_REDIS"], decode_responses=True, socket_timeout=5)


@check_back("shop.other_database", timeout=timedelta(seconds=5), retry=OFTEN)
def is_in_other_database(half: Half) -> bool:
    """Make a later write impossible, then say whether there was one."""
    with other_database() as connection, connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1s'")
        cursor.execute(
            "INSERT INTO write (write_id, state) VALUES (%s, 'void') ON CONFLICT DO NOTHING", [str(half.write_id)]
        )
        cursor.execute("SELECT state FROM write WHERE write_id = %s", [str(half.write_id)])
        [state] = cursor.fetchone()
    connection.close()
    return bool(state == "written")


@check_back("shop.other_redis", timeout=timedelta(seconds=5), retry=OFTEN)
def is_in_other_redis(half: Half) -> bool:
    """The same by one script."""
    said: Any = other_redis().eval(MAKE_VOID, 1, f"write:{half.write_id}")
    return bool(said == "written")


@consumer("shop.written")
def note_written(message: Message) -> None:
    """Take note of it; the message is what counts."""
