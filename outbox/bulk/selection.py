"""Which messages a bulk operation is about: a failure group, what failed, picked rows, a list, or another operation's.

A selection is a query, and where it came from as data, which the desk words in the reader's language.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Exists, F, Func, OuterRef, Value
from django.db.models.functions import Now
from django.db.models.sql.compiler import SQLCompiler
from django.utils.translation import gettext as _

from outbox.errors import NotAllowed
from outbox.models import BulkItem, BulkOperation, FailureGroup, Message
from outbox.models.bulk import FirstOutcome, ItemResult
from outbox.models.queryset import MessageQuerySet
from outbox.models.row_ids import read_id
from outbox.models.sql.conditions import Named, Sql, filled

LIST_LENGTH = 200_000
"""Ids or keys that one list may have."""


class Kind(StrEnum):
    """Where a set comes from."""

    FAILED = "failed"
    GROUP = "group"
    PICKED = "picked"
    IDS = "ids"
    KEYS = "keys"
    FAILED_AGAIN = "failed_again"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Selection:
    """The messages, where they come from, and for rows that were picked the revision that was shown."""

    messages: MessageQuerySet
    source: dict[str, Any]
    seen: Mapping[int, int] = field(default_factory=dict)


class KeyNamed(Func):
    """Whether a row's business id is in the list."""

    output_field = BooleanField()

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(F("key"), Value(tuple(keys)))

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_args: Any, **_context: Any) -> Sql:
        """Return the condition for PostgreSQL."""
        sql, params = filled("%s = ANY(%s)", self, compiler, connection)
        return sql, tuple(list(param) if isinstance(param, tuple) else param for param in params)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_args: Any, **_context: Any) -> Sql:
        """Return the condition for SQLite."""
        sql, params = filled("%s IN (SELECT value FROM json_each(%s))", self, compiler, connection)
        return sql, tuple(json.dumps(param) if isinstance(param, tuple) else param for param in params)


def failed(*, consumer: str = "", since: timedelta | None = None, owner: str = "", error: str = "") -> Selection:
    """Return what waits for a person, of one consumer or of all.

    Narrowed down it is what failed in the last ``since``, what ``owner`` sees to, and what has the text ``error`` in
    its last error, in capitals or not.
    """
    messages = Message.objects.exhausted()
    source: dict[str, Any] = {"kind": Kind.FAILED.value}
    if "\0" in consumer:
        raise NotAllowed(_("Nothing matches: there is no such message, or somebody was faster."))
    if consumer:
        messages = messages.filter(consumer=consumer)
        source["consumer"] = consumer
    return _narrow(messages, source, since=since, owner=owner, error=error)


def of_group(fingerprint: str, *, since: timedelta | None = None, owner: str = "", error: str = "") -> Selection:
    """Return the failed messages of one failure group, and of the groups that are merged into it.

    ``fingerprint`` is the group's, or its first characters. Raises ``NotAllowed`` if no group begins with them, or
    more than one does. The rest narrows it down as in ``failed``.
    """
    named = fingerprint and "\0" not in fingerprint
    groups = list(FailureGroup.objects.filter(pk__startswith=fingerprint)[:2]) if named else []
    if len(groups) != 1:
        raise NotAllowed(
            _("There is no failure group “%(group)s”.") % {"group": fingerprint[:64]}
            if not groups
            else _("More than one failure group begins with “%(group)s”.") % {"group": fingerprint[:64]}
        )
    group = groups[0]
    fingerprints = FailureGroup.objects.with_members(group.pk).values_list("pk", flat=True)
    messages = Message.objects.exhausted().filter(consumer=group.consumer, failure__in=list(fingerprints))
    source = {"kind": Kind.GROUP.value, "group": group.pk, "title": group.title, "consumer": group.consumer}
    return _narrow(messages, source, since=since, owner=owner, error=error)


def picked(rows: Mapping[int, int]) -> Selection:
    """Return rows by id, each with the revision that was shown."""
    messages = Message.objects.filter(Named(sorted(rows)))
    return Selection(messages, {"kind": Kind.PICKED.value, "given": len(rows)}, rows)


def listed_ids(ids: Sequence[str]) -> Selection:
    """Return the messages with these ids; what is no id raises ``NotAllowed`` and names the line."""
    wanted: dict[int, None] = {}
    for number, line in enumerate(ids, start=1):
        if not (id := read_id(line)):
            raise NotAllowed(_("Line %(number)d is no message id: “%(line)s”.") % {"number": number, "line": line[:40]})
        wanted[id] = None
    _check_length(wanted)
    return Selection(Message.objects.filter(Named(sorted(wanted))), {"kind": Kind.IDS.value, "given": len(wanted)})


def listed_keys(keys: Sequence[str]) -> Selection:
    """Return the messages with these business ids, of every topic and consumer."""
    wanted = sorted(set(keys))
    _check_length(wanted)
    return Selection(Message.objects.filter(KeyNamed(wanted)), {"kind": Kind.KEYS.value, "given": len(wanted)})


def failed_again(operation: BulkOperation) -> Selection:
    """Return what a retry has retried and what failed again and still waits for a person."""
    items = _items_of(operation).filter(outcome=FirstOutcome.FAILED)
    messages = Message.objects.exhausted().filter(pk__in=items.values("message_id"))
    return Selection(messages, {"kind": Kind.FAILED_AGAIN.value, "operation": operation.pk})


def to_undo(operation: BulkOperation) -> Selection:
    """Return what an operation has closed, and nobody has touched since."""
    as_we_left_it = _items_of(operation).filter(
        result=ItemResult.DONE, message_id=OuterRef("pk"), revision=OuterRef("revision") - 1
    )
    messages = Message.objects.filter(
        Exists(as_we_left_it), pk__in=_items_of(operation).filter(result=ItemResult.DONE).values("message_id")
    )
    return Selection(messages, {"kind": Kind.UNDO.value, "operation": operation.pk})


def describe(source: Mapping[str, Any]) -> str:
    """Return where a set came from, in words."""
    match source.get("kind"):
        case Kind.GROUP:
            words = _("stuck for one reason: %(title)s (%(consumer)s)") % source
        case Kind.FAILED:
            words = (
                _("failed messages of %(consumer)s") % source if source.get("consumer") else _("all failed messages")
            )
        case Kind.PICKED:
            words = _("%(given)d messages picked in the queue") % source
        case Kind.IDS:
            words = _("a list of %(given)d message ids, %(unknown)d of them unknown") % {"unknown": 0, **source}
        case Kind.KEYS:
            words = _("a list of %(given)d business ids") % source
        case Kind.FAILED_AGAIN:
            words = _("what failed again in bulk operation %(operation)d") % source
        case Kind.UNDO:
            words = _("what bulk operation %(operation)d has closed") % source
        case other:
            words = str(other)
    if "since_seconds" in source:
        words = _("%(set)s, failed in the last %(minutes)d min") % {
            "set": words,
            "minutes": round(source["since_seconds"] / 60),
        }
    if "owner" in source:
        words = _("%(set)s, seen to by %(owner)s") % {"set": words, "owner": source["owner"]}
    if "error" in source:
        words = _("%(set)s, with “%(error)s” in the error") % {"set": words, "error": source["error"]}
    return words


def _narrow(
    messages: MessageQuerySet, source: dict[str, Any], *, since: timedelta | None, owner: str, error: str
) -> Selection:
    """Narrow failed messages down, and say so in where they come from."""
    if "\0" in owner + error:
        raise NotAllowed(_("Nothing matches: there is no such message, or somebody was faster."))
    if since is not None:
        messages = messages.filter(exhausted_at__gte=Now() - since)
        source["since_seconds"] = since.total_seconds()
    if owner:
        messages = messages.filter(note__owner=owner)
        source["owner"] = owner
    if error:
        messages = messages.filter(last_error__icontains=error)
        source["error"] = error
    return Selection(messages, source)


def _check_length(wanted: Mapping[int, None] | Sequence[str]) -> None:
    if len(wanted) > LIST_LENGTH:
        raise NotAllowed(
            _("The list is too long: %(given)d entries, at most %(limit)d.")
            % {"given": len(wanted), "limit": LIST_LENGTH}
        )


def _items_of(operation: BulkOperation) -> Any:
    if operation.items_pruned_at is not None:
        raise NotAllowed(_("What became of each message of this operation is no longer known; it was removed in time."))
    return BulkItem.objects.of(operation)
