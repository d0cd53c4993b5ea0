"""What is done to a guard in Redis, each in one step by a script. Times are the server's own."""

from datetime import timedelta
from typing import Any, NamedTuple

import redis

TAKEN, DONE, FREE, LEFT = "0", "1", "free", "left"
"""The states of a guard. *Free*: given back, as its effect was certainly not begun. *Left*: begun, and nobody knows."""
ABSENT, BUSY, DIED = "absent", "busy", "died"
"""What else one may find."""

TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state, owner, beat, revision, retried =
    unpack(redis.call('HMGET', KEYS[1], 'state', 'owner', 'beat', 'revision', 'retried'))
if state == '1' then
    if ARGV[6] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[6]) end
    return {'1', owner}
end
if not state and ARGV[5] == '0' then return {'absent', ''} end
if (state == '0' or state == 'left') and owner ~= ARGV[1] then
    if state == '0' and now - tonumber(beat) < tonumber(ARGV[4]) then return {'busy', owner} end
    local decided = retried ~= ARGV[3] and tonumber(revision) < tonumber(ARGV[2])
    if not decided then return {'died', owner} end
end
redis.call('HSET', KEYS[1], 'state', '0', 'owner', ARGV[1], 'revision', ARGV[2], 'retried', ARGV[3], 'beat', now)
redis.call('PERSIST', KEYS[1])
return {'0', ARGV[1]}
"""
"""KEYS: the guard. ARGV: owner, revision and last retry of the message, milliseconds until an owner that says nothing
is dead, whether the guard may be absent, milliseconds for which one that is done is kept from now on."""

SETTLE = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2])
if ARGV[2] ~= 'left' and ARGV[3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
"""
BEAT = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] or redis.call('HGET', KEYS[1], 'state') ~= '0' then return 0 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'beat', time[1] * 1000 + math.floor(time[2] / 1000))
return 1
"""


class Found(NamedTuple):
    """How a guard was found, and whose it is."""

    state: str
    owner: str


def take(
    server: redis.Redis,
    key: str,
    owner: str,
    *,
    revision: int,
    retried: str,
    stale: timedelta,
    may_be_absent: bool,
    kept: timedelta | None,
) -> Found:
    """Take a guard that is absent or free, or that a person has decided about since it was taken; say what was found.

    A person has decided if the message was retried by hand (``retried``, as text) and its ``revision`` has grown.
    """
    arguments: list[str | int] = [
        owner,
        revision,
        retried,
        _milliseconds(stale),
        int(may_be_absent),
        _milliseconds(kept),
    ]
    answer: Any = server.eval(TAKE, 1, key, *arguments)
    return Found(*map(str, answer))


def settle(server: redis.Redis, key: str, owner: str, state: str, kept: timedelta | None) -> bool:
    """Say what became of a guard, if it still is this owner's."""
    return bool(server.eval(SETTLE, 1, key, owner, state, _milliseconds(kept)))


def beat(server: redis.Redis, key: str, owner: str) -> bool:
    """Say that the owner of a guard lives; False if the guard is not taken by it any more."""
    return bool(server.eval(BEAT, 1, key, owner))


def _milliseconds(span: timedelta | None) -> str:
    return "" if span is None else str(int(span.total_seconds() * 1000))
