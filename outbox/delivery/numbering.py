"""Numbers that run on, given to the messages of a forward in the transaction that starts them for the first time.

They come from a row that is updated there, and never from a sequence of the database: what a sequence gives to a
transaction that is rolled back is lost, and a receiver would wait for it. A message keeps its number over all retries,
unless its receivers were told in between that it never comes.

An epoch is the life of one database. A copy that takes over may give numbers again that the other one has given; so it
begins another epoch, and counts from 1.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from django.db import connections, transaction

from outbox.conf import conf
from outbox.memory import Memory
from outbox.models import Message, NumberState, SequenceNumber, SequenceStream

if TYPE_CHECKING:
    from outbox.declared import Consumer
    from outbox.models.sql.statements import Started

MAY_READ_SYSTEM = "SELECT has_function_privilege('pg_control_system()', 'execute')"
ORIGIN = """
SELECT {system} || '/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) || '/' || oid
FROM pg_database WHERE datname = current_database()
"""
SYSTEM = "(SELECT system_identifier::text FROM pg_control_system())"


def numbered(consumer: "Consumer", start: "Callable[[], list[Started]]") -> "list[Started]":
    """Start rows; where their forward is a sequence, number those that have no number yet in the same transaction."""
    if consumer.relay is None or not consumer.relay.sequence:
        return start()
    with transaction.atomic(using=conf().database):
        rows = start()
        give(consumer.name, consumer.relay.routing_key, [row.id for row in rows])
    return rows


def give(forward: str, routing_key: str, ids: Sequence[int]) -> None:
    """Give a number to each of these messages that has none, in their order; the last statements of a transaction.

    Whoever numbers the same stream waits here until that transaction is over. A number of which the receivers were told
    that it never comes is missed by nobody: a message that was reopened after that gets another.
    """
    states = dict(SequenceNumber.objects.filter(pk__in=ids).values_list("pk", "state")) if ids else {}
    void = [id for id, state in states.items() if state == NumberState.VOID]
    if void:
        SequenceNumber.objects.filter(pk__in=void)._raw_delete(conf().database)
    new = sorted(set(ids) - (states.keys() - set(void)))
    if not new:
        return
    by_key: dict[str, list[int]] = defaultdict(list)
    if routing_key:
        by_key[routing_key] = new
    else:
        for id, topic in Message.objects.filter(pk__in=new).order_by("pk").values_list("pk", "topic"):
            by_key[topic].append(id)
    origin = origin_of_database()
    # By name, so that two that number several streams do not wait for each other.
    for key in sorted(by_key):
        stream = lock_current(forward, key, origin)
        first = stream.given + 1
        SequenceStream.objects.filter(pk=stream.pk).update(given=stream.given + len(by_key[key]))
        SequenceNumber.objects.bulk_create(
            SequenceNumber(message_id=id, stream=stream, number=number)
            for number, id in enumerate(by_key[key], start=first)
        )


def lock_current(forward: str, routing_key: str, origin: str) -> SequenceStream:
    """Return the stream's row, locked; a new one with a new epoch where this is not the database that began it."""
    rows = SequenceStream.objects.filter(forward=forward, routing_key=routing_key, is_current=True)
    current = rows.select_for_update().first()
    if current is None:
        # Another may make it at this moment: then the database lets it go first, and ours is not written.
        SequenceStream.objects.bulk_create([_new(forward, routing_key, origin)], ignore_conflicts=True)
        current = rows.select_for_update().get()
    if current.origin != origin:
        current = begin_anew(current, origin)
    return current


def begin_anew(stream: SequenceStream, origin: str) -> SequenceStream:
    """End the epoch of a stream whose row is locked, and return its successor."""
    SequenceStream.objects.filter(pk=stream.pk).update(is_current=False)
    return SequenceStream.objects.create(
        forward=stream.forward, routing_key=stream.routing_key, epoch=secrets.token_hex(16), origin=origin
    )


def origin_of_database() -> str:
    """Return what tells this database from any copy of it that has taken over: the cluster, its timeline, its own id.

    PostgreSQL counts the timeline up at each promotion and at each recovery to a point in time; what is restored from a
    dump has another id. A copy of the files that is started by itself has the same: then a person says so by
    ``manage.py outbox_sequences new-epoch``. SQLite has nothing of the kind: empty.
    """
    connection = connections[conf().database]
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute(ORIGIN.format(system=SYSTEM if _may_read_system.value else "''"))
        return str(cursor.fetchone()[0])


def _read_privilege() -> bool:
    with connections[conf().database].cursor() as cursor:
        cursor.execute(MAY_READ_SYSTEM)
        return bool(cursor.fetchone()[0])


_may_read_system = Memory(_read_privilege)
"""A managed PostgreSQL may keep the cluster's id to itself."""


def _new(forward: str, routing_key: str, origin: str) -> SequenceStream:
    return SequenceStream(forward=forward, routing_key=routing_key, epoch=secrets.token_hex(16), origin=origin)
