"""``publish``: write one promise for each consumer of a topic, in the caller's own transaction."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from itertools import islice
from typing import Any

from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.asyncio import async_unsafe

from outbox import registry, topics
from outbox.broker import dispatcher
from outbox.conf import conf
from outbox.errors import InvalidMessage, KeyReused, OutsideTransaction, UnknownTopic
from outbox.models import Message, Status
from outbox.models.message import KEY_LENGTH
from outbox.models.sql.clock import Clock, clock_of
from outbox.models.sql.order import OrderOfKey, take_turn
from outbox.payloads import check_characters, digest_of, encode
from outbox.registry import Consumer

Key = str | int | uuid.UUID

STORED = ("key", "topic", "consumer", "digest")
LONGEST_SPAN = timedelta(days=3650)
WAITED = frozenset({"40P01", "55P03"})
"""Deadlock, and a lock that was waited for too long."""
OPPOSITE_ORDERS = (
    "publish() waits for the transactions before it that publish with the same ordering key. Two transactions that "
    "publish by several calls, for several keys in opposite orders, wait for each other: write all by one "
    "publish_many(), which locks the keys in one order, or do the whole transaction again"
)
REUSED_SHOWN = 10
"""Reused keys that an error names."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is not written yet; the fields are the arguments of ``publish``."""

    topic: str
    _: KW_ONLY
    key: Key
    payload: Any
    delay: timedelta | None = None
    within: timedelta | None = None
    ordering_key: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)


def publish(
    topic: str,
    *,
    key: Key,
    payload: Any,
    delay: timedelta | None = None,
    within: timedelta | None = None,
    ordering_key: str = "",
    headers: Mapping[str, Any] | None = None,
) -> list[int]:
    """Write a message for every consumer of ``topic`` with one INSERT, and return the ids that are new.

    Call it inside ``transaction.atomic()``, beside the business row. ``key`` is the business id; the same topic and
    key published again with an equal payload is a no-op for the consumers that already have it; another payload is an
    error, so what happens to one thing several times needs a version or an event's id in its key. A key is kept as
    text: ``500`` and ``"500"`` are one. ``payload`` and ``headers`` are JSON. ``delay`` keeps the message back;
    ``within`` is how long from now it is of use, instead of the consumer's deadline, which counts from when it may be
    started; messages with the same ``ordering_key`` reach a consumer strictly in order. A transaction that uses several
    of them writes all by one ``publish_many``: by several calls it may deadlock with another that uses them in opposite
    order.

    Raises ``OutsideTransaction``, ``UnknownTopic`` or ``InvalidMessage`` before anything is written, and ``KeyReused``
    after what the call wrote was taken back; the caller's transaction can go on.
    """
    draft = Draft(
        topic=topic,
        key=key,
        payload=payload,
        delay=delay,
        within=within,
        ordering_key=ordering_key,
        headers=headers or {},
    )
    return publish_many([draft])


@async_unsafe(
    "outbox.publish() and the transaction it needs cannot be used in async code: put both into a plain function and "
    "call it by asgiref.sync.sync_to_async"
)
def publish_many(drafts: Iterable[Draft]) -> list[int]:
    """Write many messages in as few statements as the database allows (PostgreSQL: one), and return the new ids.

    The rules are those of ``publish``; if one draft is refused, nothing is written.
    """
    connection = connections[conf().database]
    if not in_own_transaction(connection):
        raise OutsideTransaction(
            f"publish() must be called inside transaction.atomic() on the database {conf().database!r}, so that the "
            "message is committed together with your business row"
        )
    messages = sorted((message for draft in drafts for message in _prepare(draft)), key=_write_order)
    if any(message.draft.ordering_key for message in messages):
        messages = _take_turn(messages)
    written: list[tuple[int, str, bool]] = []
    reused: set[tuple[str, str]] = set()
    for batch in _batches(connection, messages):
        new = _insert(connection, batch)
        written += new
        if len(new) < len(batch):
            reused |= _reused(batch)
    if reused:
        _take_back([id for id, _consumer, _delayed in written])
        raise KeyReused(_describe_reused(sorted(reused)))
    _dispatch_on_commit(written)
    return [id for id, _consumer, _delayed in written]


def in_own_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the caller is inside a transaction of the code's own, not only of the ``TestCase`` around it."""
    return connection.in_atomic_block and not all(
        getattr(block, "_from_testcase", False) for block in connection.atomic_blocks
    )


@dataclass(frozen=True, slots=True)
class _PreparedMessage:
    """A draft checked and encoded for one of its consumers."""

    draft: Draft
    consumer: Consumer
    key: str
    payload: str
    digest: str
    headers: str
    asleep: bool = False
    """It stands behind another of its ordering key; see ``outbox.models.sql.order``."""

    @property
    def order(self) -> OrderOfKey:
        """In which order it takes part."""
        return OrderOfKey(self.consumer.name, self.draft.ordering_key)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What is unique, in the order of the index: two calls with several keys then never deadlock."""
        return self.key, self.draft.topic, self.consumer.name


def _write_order(message: _PreparedMessage) -> tuple[str, tuple[str, ...]]:
    """Sort what is written by its identity, but leave the messages of one ordering key as they were given.

    Publishers of one ordering key go one after the other, so that they cannot deadlock over their keys.
    """
    ordering_key = message.draft.ordering_key
    return ordering_key, () if ordering_key else message.identity


def _prepare(draft: Draft) -> list[_PreparedMessage]:
    if not isinstance(draft, Draft):
        raise InvalidMessage(f"{draft!r:.100}: publish_many takes Draft(topic, key=..., payload=...)")
    if not topics.is_topic(draft.topic):
        raise InvalidMessage(
            f"topic {draft.topic!r}: words of letters, digits, _ and - joined by dots, at most "
            f"{topics.TOPIC_LENGTH} characters"
        )
    declared = registry.declared_topics()
    if declared and draft.topic not in declared:
        near = get_close_matches(draft.topic, declared, n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownTopic(f"{draft.topic!r} is not among the topics of outbox.declare_topics(){guess}")
    consumers = registry.consumers_of(draft.topic)
    if not consumers:
        known = ", ".join(f"{entry.name} ({entry.pattern})" for entry in registry.all_consumers()) or "none"
        raise UnknownTopic(f"no consumer listens to {draft.topic!r}; consumers found: {known}")
    key = _check_key(draft.key)
    _check_text("ordering_key", draft.ordering_key)
    if not isinstance(draft.headers, Mapping):
        raise InvalidMessage(f"headers {draft.headers!r:.100}: a dict")
    payload, headers = encode("payload", draft.payload), encode("headers", dict(draft.headers))
    digest = digest_of(payload)
    size = len(payload.encode()) + len(headers.encode())
    if size > conf().payload_limit:
        raise InvalidMessage(
            f"payload and headers of {draft.topic} {key} are {size:,} bytes of JSON, the limit is "
            f'{conf().payload_limit:,} (OUTBOX["PAYLOAD_LIMIT"]); store the data and publish its id'
        )
    _check_spans(draft)
    return [_PreparedMessage(draft, consumer, key, payload, digest, headers) for consumer in consumers]


def _check_key(value: object) -> str:
    """Return the business id as it stands in the table."""
    try:
        key = str(value) if isinstance(value, str | int | uuid.UUID) and not isinstance(value, bool) else ""
    except ValueError:  # an int of more digits than Python writes out
        key = ""
    if not 0 < len(key) <= KEY_LENGTH:
        shown = "an int of thousands of digits" if type(value) is int and not key else f"{value!r:.250}"
        raise InvalidMessage(f"key {shown}: a str of 1 to {KEY_LENGTH} characters, an int or a UUID")
    check_characters("key", key)
    return key


def _check_text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > KEY_LENGTH:
        raise InvalidMessage(f"{name} {value!r:.250}: a str of at most {KEY_LENGTH} characters")
    check_characters(name, value)
    return value


def _check_spans(draft: Draft) -> None:
    delay, within = draft.delay, draft.within
    if delay is not None and (not isinstance(delay, timedelta) or not timedelta(0) <= delay <= LONGEST_SPAN):
        raise InvalidMessage(f"delay {delay!r}: None or a timedelta from zero to {LONGEST_SPAN.days} days")
    if within is None:
        return
    if not isinstance(within, timedelta) or not timedelta(0) < within <= LONGEST_SPAN:
        raise InvalidMessage(
            f"within {within!r}: None or a timedelta greater than zero, up to {LONGEST_SPAN.days} days"
        )
    if within <= (delay or timedelta(0)):
        raise InvalidMessage(f"within {within} is over before the delay of {delay}; the message could never be started")


def _take_turn(messages: Sequence[_PreparedMessage]) -> list[_PreparedMessage]:
    """Lock the ordering keys, and put to sleep what finds another of its own, in the table or before it in this call.

    Two transactions that each publish by several calls, for the same keys in opposite orders, wait for each other.
    """
    try:
        taken = take_turn({message.order for message in messages if message.draft.ordering_key})
    except OperationalError as error:
        if {getattr(error.__cause__, name, None) for name in ("sqlstate", "pgcode")} & WAITED:  # psycopg 3, psycopg 2
            error.add_note(OPPOSITE_ORDERS)
        raise
    marked = []
    for message in messages:
        marked.append(replace(message, asleep=message.order in taken))
        if message.draft.ordering_key:
            taken.add(message.order)
    return marked


def _batches(connection: BaseDatabaseWrapper, messages: Sequence[_PreparedMessage]) -> Iterable[list[_PreparedMessage]]:
    """Cut what is to be written into statements: one on PostgreSQL, on SQLite as many parameters as it takes."""
    limit = connection.features.max_query_params
    _into, row = _statement(connection.alias)
    rest = iter(messages)
    while batch := list(islice(rest, limit // row.count("%s") if limit else len(messages))):
        yield batch


def _insert(connection: BaseDatabaseWrapper, messages: Sequence[_PreparedMessage]) -> list[tuple[int, str, bool]]:
    """Write the promises that are new; return id, consumer and whether it is delayed, for each of them."""
    into, row = _statement(connection.alias)
    clock = clock_of(connection)
    sql = (
        f"{into} VALUES {', '.join([row] * len(messages))} "
        "ON CONFLICT DO NOTHING RETURNING id, consumer, not_before > created_at"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for message in messages for value in _row_values(message, clock)])
        return [(int(id), str(consumer), bool(delayed)) for id, consumer, delayed in cursor.fetchall()]


def _reused(messages: Sequence[_PreparedMessage]) -> set[tuple[str, str]]:
    """Return topic and key of those that stand in the table with another payload than is published now."""
    identities = [message.identity for message in messages]
    keys, topics, consumers = (set(column) for column in zip(*identities, strict=True))
    found = Message.objects.using(conf().database).filter(key__in=keys, topic__in=topics, consumer__in=consumers)
    stored = {(key, topic, consumer): digest for key, topic, consumer, digest in found.values_list(*STORED)}
    return {
        (message.draft.topic, message.key)
        for message in messages
        if stored.get(message.identity, "") not in ("", message.digest)
    }


def _take_back(ids: Sequence[int]) -> None:
    """Remove what this call has written, which nobody else has seen."""
    if ids:
        Message.objects.using(conf().database).filter(pk__in=ids).delete()


def _describe_reused(reused: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"{topic} {key!r}" for topic, key in reused[:REUSED_SHOWN])
    more = f" and {len(reused) - REUSED_SHOWN} more" if len(reused) > REUSED_SHOWN else ""
    return (
        f"published before with another payload: {shown}{more}; nothing of this call was written. A topic and key are "
        "one event: where a thing has several, put a version or the event's id into the key, as in "
        'key=f"{order.pk}:{order.version}"'
    )


@cache
def _statement(using: str) -> tuple[str, str]:
    """Return the INSERT up to its rows, and one row: what is new about every message, and a ``%s`` for ``_values``."""
    clock, quoted = clock_of(connections[using]), connections[using].ops.quote_name
    row = {
        **dict.fromkeys(["topic", "consumer", "key", "ordering_key", "digest", "attempt_limit"], "%s"),
        **dict.fromkeys(["payload", "headers"], clock.json),
        **dict.fromkeys(["created_at", "not_before", "due_at", "expires_at"], clock.now_plus),
        "status": f"'{Status.PENDING.value}'",
        **dict.fromkeys(["resolution", "evidence", "worker", "last_error", "failure"], "''"),
        **dict.fromkeys(["attempts", "lost", "sends", "revision"], "0"),
    }
    into = f"INSERT INTO {quoted(Message._meta.db_table)} ({', '.join(map(quoted, row))})"
    return into, f"({', '.join(row.values())})"


def _row_values(message: _PreparedMessage, clock: Clock) -> list[Any]:
    draft, consumer = message.draft, message.consumer
    delay = draft.delay or timedelta(0)
    end = draft.within or delay + consumer.deadline
    due = end if message.asleep else min(delay or conf().grace, end)
    spans = [timedelta(0), delay, due, end]
    named = [draft.topic, consumer.name, message.key, draft.ordering_key, message.digest, consumer.retry.limit]
    return [*named, message.payload, message.headers, *map(clock.seconds, spans)]


def _dispatch_on_commit(written: Sequence[tuple[int, str, bool]]) -> None:
    """Send hints once the transaction has committed; a hook of a savepoint that rolls back never fires."""
    ids: dict[str, list[int]] = defaultdict(list)
    for id, consumer, delayed in written:
        if not delayed:
            ids[consumer].append(id)
    if ids:
        dispatcher.dispatch_on_commit(dict(ids))
