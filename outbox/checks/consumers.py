"""The consumers, and the spans of time they are given."""

from datetime import timedelta

from django.core.checks import Info, Warning

from outbox import registry
from outbox.checks.database import CheckMessages, database_vendor
from outbox.conf import conf
from outbox.topics import is_topic

SAVEPOINTS_CACHED = 64
"""More writing savepoints in one transaction overflow PostgreSQL's cache of subtransactions."""

LONG_HINT = timedelta(seconds=5)
"""Half of the margin that a hint's time limit has."""


def check_consumers() -> CheckMessages:
    """Yield what is unsafe anywhere."""
    yield from _check_each()
    yield from _topics()
    yield from _spans()


def check_deployed_consumers() -> CheckMessages:
    """Yield what is worth a thought before it is run for real, and would be noise at every start."""
    wide = [entry for entry in registry.all_consumers() if not is_topic(entry.pattern)]
    if wide and not registry.declared_topics():
        yield Info(
            f"{', '.join(entry.name for entry in wide)} listens by a wildcard, so a mistyped topic may be taken for "
            "one of its own.",
            hint='Name the topics that there are, as in outbox.declare_topics("order.paid", "order.shipped"), in a '
            "consumers.py; publish() then refuses any other.",
            id="outbox.I003",
        )


def _topics() -> CheckMessages:
    declared = registry.declared_topics()
    for entry in registry.all_consumers() if declared else []:
        if not any(entry.listens_to(topic) for topic in declared):
            yield Warning(
                f"{entry.name} listens to {entry.pattern!r}, which is none of the declared topics.",
                hint="Mend its pattern, or add the topic to outbox.declare_topics().",
                id="outbox.W026",
            )


def _check_each() -> CheckMessages:
    consumers = registry.all_consumers()
    if not consumers:
        yield Warning(
            "There are no consumers, so publish() refuses every topic.",
            hint="Write a consumers.py in one of your INSTALLED_APPS, with an @outbox.consumer in it.",
            id="outbox.W018",
        )
    for entry in consumers:
        if entry.atomic and not entry.bulk and entry.chunk > SAVEPOINTS_CACHED:
            yield Warning(
                f"{entry.name} handles up to {entry.chunk} rows in a transaction, each in its savepoint.",
                hint=f"More than {SAVEPOINTS_CACHED} slow down the whole server; lower chunk, or use bulk=True.",
                id="outbox.W004",
            )


def _spans() -> CheckMessages:
    given = conf()
    chunk_time = given.chunk_time_sqlite if database_vendor() == "sqlite" else given.chunk_time
    if given.lease <= chunk_time + given.chunk_lock_timeout:
        yield Warning(
            f"LEASE ({given.lease}) is over before a chunk is (CHUNK_TIME {chunk_time}); rows would be taken back from "
            "workers that are alive.",
            hint='Make OUTBOX["LEASE"] several times as long as CHUNK_TIME.',
            id="outbox.W020",
        )
    if given.hint_time > LONG_HINT:
        yield Warning(
            f"In a backlog a hint keeps its place in the pool for HINT_TIME ({given.hint_time}); messages of other "
            "consumers wait for it, and past a consumer's time limit Celery ends the worker process.",
            hint='Make OUTBOX["HINT_TIME"] shorter than a second: nothing is gained by more.',
            id="outbox.W025",
        )
