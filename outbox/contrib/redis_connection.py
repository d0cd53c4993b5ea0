"""The one client of Redis that a process has, made of ``OUTBOX["REDIS_URL"]``."""

import os
from typing import NamedTuple

import redis
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from outbox.conf import conf
from outbox.memory import Memory

ANSWERS_WITHIN = 2.0
"""Seconds that Redis has to take a connection, and to answer."""


class _Held(NamedTuple):
    """A client, of which address and process it is."""

    url: str
    pid: int
    client: redis.Redis


_clients: Memory[list[_Held]] = Memory(list)


def client() -> redis.Redis:
    """Return the process's client, made anew in a process that was forked."""
    url = conf().redis_url
    if not url:
        raise ImproperlyConfigured('OUTBOX["REDIS_URL"] is empty, and something needs Redis: set it, as redis://host/0')
    held = _clients.value
    if not held or held[0][:2] != (url, os.getpid()):
        made: redis.Redis = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=ANSWERS_WITHIN,
            socket_connect_timeout=ANSWERS_WITHIN,
            # Whatever is sent may be sent twice: a script knows its owner again, or what is there already, or lets one
            # less in; the rest sets, deletes and reads. One more try finds a connection that was cut off.
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 1),
        )
        held[:] = [_Held(url, os.getpid(), made)]
    return held[0].client
