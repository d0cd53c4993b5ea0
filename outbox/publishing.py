"""``publish``: write one message for each consumer of a topic, in the caller's own transaction."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.asyncio import async_unsafe

from outbox.broker import dispatcher
from outbox.conf import conf
from outbox.drafts import Draft, Key, PreparedMessage, prepare
from outbox.errors import KeyReused, OutsideTransaction
from outbox.models import Message, Resolution, Status
from outbox.models.sql.clock import Clock, clock_of
from outbox.models.sql.errors import missing_tables_named, sqlstate
from outbox.models.sql.order import take_turn

STORED = ("key", "topic", "consumer", "digest", "resolution", "attempts")
WAITED = frozenset({"40P01", "55P03"})
"""Deadlock, and a lock that was waited for too long."""
OPPOSITE_ORDERS = (
    "publish() waits for the transactions before it that publish with the same ordering key. Two transactions that "
    "publish by several calls, for several keys in opposite orders, wait for each other: write all by one "
    "publish_many(), which locks the keys in one order, or do the whole transaction again"
)
STARTED_BEFORE = "and withdrawn after it had been started, so it may have had an effect"
REUSED_SHOWN = 10
"""Reused keys that an error names."""


def publish(
    topic: str,
    *,
    key: Key,
    payload: Any,
    delay: timedelta | None = None,
    within: timedelta | None = None,
    ordering_key: str = "",
    headers: Mapping[str, Any] | None = None,
    value: Decimal | int | None = None,
    currency: str = "",
) -> list[int]:
    """Write a message for every consumer of ``topic`` with one INSERT, and return the ids that are new.

    Call it inside ``transaction.atomic()``, beside the business row.

    - ``key``: the business id, kept as text: ``500`` and ``"500"`` are one. A topic and a key are one event. Published
      again with an equal payload, it is a no-op for the consumers that have it already; another payload is an error.
      What happens to one thing several times needs a version or an event's id in its key.
    - ``payload`` and ``headers``: JSON, together at most ``OUTBOX["PAYLOAD_LIMIT"]`` bytes (256 KiB).
    - ``delay``: the message is not started before this time is over.
    - ``within``: of no use after this time from now; by default the consumer's ``deadline``, from the end of the delay.
    - ``ordering_key``: messages with the same one reach a consumer strictly in order. A transaction that uses several
      writes all by one ``publish_many``: by several calls it may deadlock with another in opposite order.

    - ``value``: what is at stake until a consumer has acted, in ``currency``: an ISO code, or a unit of your own as
      ``points``. The desk adds it up by currency; a consumer may know better (``@consumer(value=)``).

    What was withdrawn before it was ever started is written anew, as it is published now.

    Raises ``OutsideTransaction``, ``UnknownTopic`` or ``InvalidMessage`` before anything is written, and ``KeyReused``
    after what the call wrote was taken back; the caller's transaction can go on. The latter is raised as well for what
    was withdrawn after it had been started: that one may have had an effect, and is never done again silently.
    """
    draft = Draft(
        topic=topic,
        key=key,
        payload=payload,
        delay=delay,
        within=within,
        ordering_key=ordering_key,
        headers=headers or {},
        value=value,
        currency=currency,
    )
    return publish_many([draft])


@async_unsafe(
    "outbox.publish() and the transaction it needs cannot be used in async code: put both into a plain function and "
    "call it by asgiref.sync.sync_to_async"
)
def publish_many(drafts: Iterable[Draft]) -> list[int]:
    """Write many messages in as few statements as the database allows (PostgreSQL: one), and return the new ids.

    The rules and the errors are those of ``publish``; if one draft is refused, nothing is written. The ids are not in
    the order of the drafts; a draft has one for each consumer that does not have it yet.
    """
    connection = connections[conf().database]
    if not in_own_transaction(connection):
        raise OutsideTransaction(
            f"publish() must be called inside transaction.atomic() on the database {conf().database!r}, so that the "
            "message is committed together with your business row"
        )
    messages = sorted((message for draft in drafts for message in prepare(draft)), key=_write_order)
    written: list[tuple[int, str, bool]] = []
    reused: set[tuple[str, str]] = set()
    started: set[tuple[str, str]] = set()
    anew: list[PreparedMessage] = []
    with missing_tables_named():
        if any(message.draft.ordering_key for message in messages):
            messages = _take_turn(messages)
        for batch in _batches(connection, messages):
            new = _insert(connection, batch)
            written += new
            if len(new) < len(batch):
                known = _look_up(batch)
                reused |= known.reused
                started |= known.started
                anew += known.withdrawn
        if anew and not reused | started:
            written += _write_anew(connection, anew, reused)
    if reused | started:
        _take_back([id for id, _consumer, _delayed in written])
        raise KeyReused(_describe_reused(reused) if reused else _describe_reused(started, STARTED_BEFORE))
    _dispatch_on_commit(written)
    return [id for id, _consumer, _delayed in written]


def in_own_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the caller is inside a transaction of the code's own, not only of the ``TestCase`` around it."""
    return connection.in_atomic_block and not all(
        getattr(block, "_from_testcase", False) for block in connection.atomic_blocks
    )


def _write_order(message: PreparedMessage) -> tuple[str, tuple[str, ...]]:
    """Sort what is written by its identity, but leave the messages of one ordering key as they were given.

    Publishers of one ordering key go one after the other, so that they cannot deadlock over their keys.
    """
    ordering_key = message.draft.ordering_key
    return ordering_key, () if ordering_key else message.identity


def _take_turn(messages: Sequence[PreparedMessage]) -> list[PreparedMessage]:
    """Lock the ordering keys, and put to sleep what finds another of its own, in the table or before it in this call.

    Two transactions that each publish by several calls, for the same keys in opposite orders, wait for each other.
    """
    try:
        taken = take_turn({message.order for message in messages if message.draft.ordering_key})
    except OperationalError as error:
        if sqlstate(error) in WAITED:
            error.add_note(OPPOSITE_ORDERS)
        raise
    marked = []
    for message in messages:
        marked.append(replace(message, asleep=message.order in taken))
        if message.draft.ordering_key:
            taken.add(message.order)
    return marked


def _batches(connection: BaseDatabaseWrapper, messages: Sequence[PreparedMessage]) -> Iterable[list[PreparedMessage]]:
    """Cut what is to be written into statements: one on PostgreSQL, on SQLite as many parameters as it takes."""
    limit = connection.features.max_query_params
    _into, row = _statement(connection.alias)
    rest = iter(messages)
    while batch := list(islice(rest, limit // row.count("%s") if limit else len(messages))):
        yield batch


def _insert(connection: BaseDatabaseWrapper, messages: Sequence[PreparedMessage]) -> list[tuple[int, str, bool]]:
    """Write the messages that are new; return id, consumer and whether it is delayed, for each of them."""
    into, row = _statement(connection.alias)
    clock = clock_of(connection)
    sql = (
        f"{into} VALUES {', '.join([row] * len(messages))} "
        "ON CONFLICT DO NOTHING RETURNING id, consumer, not_before > created_at"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for message in messages for value in _row_values(message, clock)])
        return [(int(id), str(consumer), bool(delayed)) for id, consumer, delayed in cursor.fetchall()]


class _Known(NamedTuple):
    """What of a call was published before, and what follows from it."""

    reused: set[tuple[str, str]]
    """Topic and key of what stands in the table with another payload."""
    started: set[tuple[str, str]]
    """Topic and key of what was withdrawn after it had been started."""
    withdrawn: list[PreparedMessage]
    """What was withdrawn before anybody had seen it."""


def _look_up(messages: Sequence[PreparedMessage]) -> _Known:
    """Look at the rows that stand in the table for these."""
    identities = [message.identity for message in messages]
    keys, topics, consumers = (set(column) for column in zip(*identities, strict=True))
    found = Message.objects.using(conf().database).filter(
        key__in=keys, topic__in=topics, consumer__in=consumers, replay=0
    )
    stored = {(key, topic, consumer): rest for key, topic, consumer, *rest in found.values_list(*STORED)}
    known = _Known(set(), set(), [])
    for message in messages:
        digest, resolution, attempts = stored.get(message.identity, ("", "", 0))
        if resolution == Resolution.WITHDRAWN and not attempts:
            known.withdrawn.append(message)
        elif digest not in ("", message.digest):
            known.reused.add((message.draft.topic, message.key))
        elif resolution == Resolution.WITHDRAWN:
            known.started.add((message.draft.topic, message.key))
    return known


def _write_anew(
    connection: BaseDatabaseWrapper, messages: Sequence[PreparedMessage], reused: set[tuple[str, str]]
) -> list[tuple[int, str, bool]]:
    """Put new rows in the place of those that were withdrawn, at the end of their ordering keys; return as ``_insert``.

    Nobody has seen the old ones, so neither their payload nor their idempotency key binds anybody. What a publisher who
    was faster, or this call itself, has written with another payload is added to ``reused``; then nothing is done.
    """
    written: list[tuple[int, str, bool]] = []
    with transaction.atomic(using=connection.alias):
        for batch in _batches(connection, messages):
            keys, topics, consumers = (set(column) for column in zip(*(each.identity for each in batch), strict=True))
            old = Message.objects.using(connection.alias).withdrawn().filter(replay=0)
            old.filter(key__in=keys, topic__in=topics, consumer__in=consumers).delete()
            new = _insert(connection, batch)
            written += new
            if len(new) < len(batch):
                reused |= _look_up(batch).reused
        if reused:
            transaction.set_rollback(True, using=connection.alias)
    return [] if reused else written


def _take_back(ids: Sequence[int]) -> None:
    """Remove what this call has written, which nobody else has seen."""
    if ids:
        Message.objects.using(conf().database).filter(pk__in=ids).delete()


def _describe_reused(reused: Iterable[tuple[str, str]], how: str = "with another payload") -> str:
    """Return what is wrong with these topics and keys, each of which was published or withdrawn before."""
    pairs = sorted(reused)
    shown = ", ".join(f"{topic} {key!r}" for topic, key in pairs[:REUSED_SHOWN])
    more = f" and {len(pairs) - REUSED_SHOWN} more" if len(pairs) > REUSED_SHOWN else ""
    return (
        f"published before {how}: {shown}{more}; nothing of this call was written. A topic and key are "
        "one event: where a thing has several, put a version or the event's id into the key, as in "
        'key=f"{order.pk}:{order.version}"'
    )


@cache
def _statement(using: str) -> tuple[str, str]:
    """Return the INSERT up to its rows, and one row: constants, and a ``%s`` for each of ``_row_values``."""
    clock, quoted = clock_of(connections[using]), connections[using].ops.quote_name
    row = {
        **dict.fromkeys(["topic", "consumer", "key", "ordering_key", "digest", "attempt_limit"], "%s"),
        **dict.fromkeys(["value", "currency"], "%s"),
        **dict.fromkeys(["payload", "headers"], clock.json),
        **dict.fromkeys(["created_at", "not_before", "due_at", "expires_at"], clock.now_plus),
        "status": f"'{Status.PENDING.value}'",
        **dict.fromkeys(["resolution", "worker", "last_error", "failure"], "''"),
        **dict.fromkeys(["attempts", "lost", "sends", "revision"], "0"),
    }
    into = f"INSERT INTO {quoted(Message._meta.db_table)} ({', '.join(map(quoted, row))})"
    return into, f"({', '.join(row.values())})"


def _row_values(message: PreparedMessage, clock: Clock) -> list[Any]:
    draft, consumer = message.draft, message.consumer
    delay = draft.delay or timedelta(0)
    end = draft.within or delay + consumer.deadline
    due = end if message.asleep else min(delay or conf().grace, end)
    spans = [timedelta(0), delay, due, end]
    named = [draft.topic, consumer.name, message.key, draft.ordering_key, message.digest, consumer.retry.limit]
    return [*named, *message.worth, message.payload, message.headers, *map(clock.seconds, spans)]


def _dispatch_on_commit(written: Sequence[tuple[int, str, bool]]) -> None:
    """Send hints once the transaction has committed; a hook of a savepoint that rolls back never fires."""
    ids: dict[str, list[int]] = defaultdict(list)
    for id, consumer, delayed in written:
        if not delayed:
            ids[consumer].append(id)
    if ids:
        dispatcher.dispatch_on_commit(dict(ids))
