"""Taking in what came, in one transaction: ids that are new are written and published, the rest is known or guilty.

The id of a message is written beside it, in a small table that outlives it. So what comes again is known, however
often, by whichever receiver, and for longer than the message lives.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connections, transaction

from outbox.broker import receipts
from outbox.conf import conf
from outbox.errors import KeyReused, TooLarge, UnknownTopic
from outbox.external.ingest import in_hand, quarantine, tallies
from outbox.external.ingest.reading import Readable, Refused, read, say, whole_digest
from outbox.external.sequences import watching
from outbox.external.sequences.signs import Sign
from outbox.models import QuarantineReason, TakenId
from outbox.models.sql.clock import clock_of
from outbox.publishing import publish_many
from outbox.sources import Incoming, Source


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of a batch: how many were new, known, quarantined, and how many rows were written.

    ``left`` could be put nowhere, as the quarantine is full: it is to be held back, and put there later.
    """

    taken: int = 0
    known: int = 0
    quarantined: int = 0
    rows: int = 0
    left: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The messages of a batch by what is known of their ids."""

    fresh: list[Readable]
    known: list[Readable]
    other: list[Refused]


def take_in(
    source: Source,
    batch: Sequence[Incoming],
    found: Sequence[Readable | Refused | None] = (),
    meanwhile: AbstractContextManager[None] | None = None,
    *,
    alone: UUID | None = None,
) -> TakenIn:
    """Take in a batch, and return what became of it. Committed when it returns; what it raises has written nothing.

    ``found`` is what was read of each ahead. ``meanwhile`` is entered while the database writes; what it raises is
    raised after the commit. All else is ``DatabaseError`` or ``InterfaceError``. The project's functions are called
    before the transaction. ``alone`` is the note of a message that was taken up by itself, which is put down.
    """
    notices, messages = watching.part(batch)
    ahead = {id(incoming): known for incoming, known in zip(batch, found, strict=False)}
    results = [ahead.get(id(incoming)) or read(source, incoming) for incoming in messages]
    with meanwhile or nullcontext():
        return settle(source, results, notices=notices, alone=alone)


def settle(
    source: Source, results: Sequence[Readable | Refused], *, notices: Sequence[Sign] = (), alone: UUID | None = None
) -> TakenIn:
    """Write what was read, and the ``notices`` of the sender's numbers."""
    readable = [one for one in results if isinstance(one, Readable)]
    refused = [one for one in results if isinstance(one, Refused)]
    with transaction.atomic(using=conf().database):
        seen = _note_ids(readable)
        rows, guilty = _publish(seen.fresh)
        _forget_ids(guilty)
        bad = [*refused, *seen.other, *guilty.values()]
        left = quarantine.put(bad)
        if source.receipts:
            receipts.publish_again(source.name, [_as_sent(one) for one in seen.known])
        if alone is not None:
            in_hand.put_down(alone)
        outcome = TakenIn(len(seen.fresh) - len(guilty), len(seen.known), len(bad) - len(left), rows, left)
        not_here = {id(one.incoming) for one in left}
        came = watching.signs_of(one.incoming for one in results if id(one.incoming) not in not_here)
        watching.watch(source.name, [*came, *notices])
        tallies.count(source.name, taken=outcome.taken, known=outcome.known, quarantined=outcome.quarantined)
    return outcome


def _as_sent(one: Readable) -> tuple[str, str, str, Mapping[str, Any]]:
    """Return the sender's id of a message, its topic and key here, and the headers that the sender gave it."""
    return one.sender_id, one.draft.topic, str(one.draft.key), one.incoming.headers


def refuse(source: Source, incoming: Incoming, reason: QuarantineReason, error: str = "") -> TakenIn:
    """Put one message into quarantine that none of the project's functions is called for any more."""
    sender_id = incoming.properties.get("message_id")
    refused = Refused(incoming, reason, error, sender_id if isinstance(sender_id, str) else "")
    return settle(source, [refused], alone=whole_digest(incoming))


def admit(readable: Readable) -> Refused | None:
    """Take in one message in the transaction of whoever calls; return why it cannot be. What is known is no error."""
    seen = _note_ids([readable])
    _rows, guilty = _publish(seen.fresh)
    return next(iter([*seen.other, *guilty.values()]), None)


def _note_ids(readable: Sequence[Readable]) -> _Sorted:
    """Write down the ids that are new, and tell them from those that are known, with the same content or another."""
    first: dict[UUID, Readable] = {}
    for one in readable:
        first.setdefault(one.id, one)
    new = _insert_ids(list(first.values()))
    if len(new) == len(readable):
        return _Sorted(list(readable), [], [])
    old = TakenId.objects.in_bulk([id for id in first if id not in new])
    contents = {id: old[id].content if id in old else one.content for id, one in first.items()}
    seen = _Sorted([], [], [])
    for one in readable:
        if one.id in new and first[one.id] is one:
            seen.fresh.append(one)
        elif contents[one.id] == one.content:
            seen.known.append(one)
        else:
            seen.other.append(_refused(one, QuarantineReason.OTHER_CONTENT))
    return seen


def _insert_ids(readable: Sequence[Readable]) -> set[UUID]:
    """Write ids and contents by one statement, sorted, so that receivers do not deadlock; return those that are new."""
    if not readable:
        return set()
    connection = connections[conf().database]
    rows = sorted(readable, key=lambda one: one.id.int)
    ids, contents = [one.id.hex for one in rows], [one.content.hex for one in rows]
    into = f"INSERT INTO {connection.ops.quote_name(TakenId._meta.db_table)} (id, content, at)"
    now = clock_of(connection).now
    # Two parameters on PostgreSQL, whatever the number of ids: they are read faster than as many rows of values.
    if connection.vendor == "postgresql":
        rest = f"SELECT id, content, {now} FROM unnest(%s::uuid[], %s::uuid[]) AS given (id, content)"  # noqa: S608  # ours
        values = [_as_array(ids), _as_array(contents)]
    else:
        rest = f"VALUES {', '.join([f'(%s, %s, {now})'] * len(rows))}"
        values = [value for pair in zip(ids, contents, strict=True) for value in pair]
    with connection.cursor() as cursor:
        cursor.execute(f"{into} {rest} ON CONFLICT DO NOTHING RETURNING id", values)
        if cursor.rowcount == len(rows):
            return {one.id for one in rows}
        return {id if isinstance(id, UUID) else UUID(id) for (id,) in cursor.fetchall()}


def _as_array(ids: Sequence[str]) -> str:
    """Return an array as PostgreSQL reads it."""
    return f"{{{','.join(ids)}}}"


def _forget_ids(guilty: Mapping[UUID, Refused]) -> None:
    """Take back the ids of what was not published after all: mended, it must not be known."""
    if guilty:
        TakenId.objects.filter(pk__in=list(guilty)).delete()


def _publish(fresh: Sequence[Readable]) -> tuple[int, dict[UUID, Refused]]:
    """Publish all by one call; what is refused is halved until the guilty stand alone. Return rows, and the guilty."""
    if not fresh:
        return 0, {}
    try:
        return len(publish_many(one.draft for one in fresh)), {}
    except DatabaseError:
        raise
    except Exception as error:  # of ``publish_many``, which has written nothing, or of a consumer's function
        if len(fresh) == 1:
            return 0, {fresh[0].id: _refused(fresh[0], _reason_of(error), say(error))}
    middle = len(fresh) // 2
    rows, guilty = _publish(fresh[:middle])
    more_rows, more_guilty = _publish(fresh[middle:])
    return rows + more_rows, guilty | more_guilty


def _reason_of(error: Exception) -> QuarantineReason:
    match error:
        case KeyReused():
            return QuarantineReason.OTHER_CONTENT
        case TooLarge():
            return QuarantineReason.TOO_LARGE
        case UnknownTopic():
            return QuarantineReason.UNKNOWN_TOPIC
        case _:
            return QuarantineReason.NOT_STORABLE


def _refused(one: Readable, reason: QuarantineReason, error: str = "") -> Refused:
    return Refused(one.incoming, reason, error, one.sender_id, one.draft.topic)
