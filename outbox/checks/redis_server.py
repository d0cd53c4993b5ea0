"""What guards in Redis need of the server: that it forgets nothing. Asked only where ``OUTBOX["REDIS_URL"]`` is set."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core.checks import Error, Info, Warning

from outbox.checks.database import CheckMessages
from outbox.conf import conf


def check_redis() -> CheckMessages:
    """Yield what is wrong with the client and with the server, as far as it can be asked."""
    if not conf().redis_url:
        return
    if find_spec("redis") is None:
        yield Error(
            'OUTBOX["REDIS_URL"] is set, and the package redis is not installed.',
            hint='pip install "django-makegood[redis]"',
            id="outbox.E013",
        )
        return
    yield from _server()


def _server() -> CheckMessages:
    try:
        # An extra of the package: it is asked for by then.
        server = import_module("outbox.contrib.redis_connection").client()
        said: dict[str, Any] = {**server.info("memory"), **server.info("persistence")}
    except Exception as error:  # a wrong address, no network, no right to ask: whatever it is, a person has to know
        yield Info(
            f'Redis at OUTBOX["REDIS_URL"] could not be asked how it keeps its data ({type(error).__name__}: {error}).',
            hint="See that it answers, that maxmemory-policy is noeviction, and that appendonly is yes.",
            id="outbox.I004",
        )
        return
    policy = said.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield Warning(
            f"Redis removes keys when its memory is full (maxmemory-policy {policy}): guards of effects may vanish, "
            "and each that does is a question for a person.",
            hint="Set maxmemory-policy to noeviction; or give the guards a Redis of their own.",
            id="outbox.W034",
        )
    if not int(said.get("aof_enabled", 0)):
        yield Warning(
            "Redis writes no log of what it is told (appendonly no): after a crash the guards of the last seconds or "
            "minutes are missing, and each is a question for a person.",
            hint="Set appendonly to yes, and appendfsync to always or everysec.",
            id="outbox.W035",
        )
