"""The consumers, and the spans of time they are given."""

from datetime import timedelta

from django.apps import apps
from django.conf import settings
from django.core.checks import Error, Info, Warning
from django.db import router

from outbox import options, registry
from outbox.checks.database import CheckMessages, database_vendor
from outbox.conf import INTERNAL, conf
from outbox.topics import is_topic

SAVEPOINTS_CACHED = 64
"""More writing savepoints in one transaction overflow PostgreSQL's cache of subtransactions."""

LONG_HINT = timedelta(seconds=5)
"""Half of the margin that a hint's time limit has."""


def check_consumers() -> CheckMessages:
    """Yield what is unsafe anywhere."""
    yield from _check_each()
    yield from _hooks()
    yield from _topics()
    yield from _spans()
    yield from _internal()


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


def _internal() -> CheckMessages:
    given = sorted(key for key in getattr(settings, "OUTBOX", {}) if key.lower() in INTERNAL)
    if given:
        yield Warning(
            f"OUTBOX sets {', '.join(given)}: the engine's own, which no operator has to decide. A release may change "
            "or drop them.",
            hint="Take them out, or silence this if you have measured that you need them.",
            id="outbox.W060",
        )


def _topics() -> CheckMessages:
    declared = registry.declared_topics()
    for entry in registry.all_consumers() if declared else []:
        if not entry.tells_of and not any(entry.listens_to(topic) for topic in declared):
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


def _hooks() -> CheckMessages:
    for entry in registry.all_consumers():
        if entry.closes_for_good:
            yield Warning(
                f"{entry.name} gives on_handled or on_discarded and no on_reopened, so what an operator closes by "
                "mistake cannot be reopened.",
                hint="Give it on_reopened as well: a function that takes back what the others did, or refuses.",
                id="outbox.W033",
            )
        for hook in entry.hooks:
            if elsewhere := _writes_elsewhere(hook):
                yield Error(
                    f"{entry.name}: {options.name_of(hook)} is called in a transaction on the database "
                    f"{conf().database!r}, and the models of its app are written to {', '.join(sorted(elsewhere))}. "
                    "What it writes there would stand although the operator's act is taken back.",
                    hint="Have the hook publish a message, whose consumer writes there; or move the outbox to that "
                    'database, by OUTBOX["DATABASE"].',
                    id="outbox.E012",
                )


def _writes_elsewhere(hook: object) -> set[str]:
    """Return the aliases that the models of the hook's app are written to, if none of them is the engine's."""
    config = apps.get_containing_app_config(str(getattr(hook, "__module__", "")))
    aliases = {router.db_for_write(model) for model in config.get_models()} if config else set()
    return aliases if conf().database not in aliases else set()


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
