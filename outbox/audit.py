"""The audit: who did what and why, appended with the act itself and sealed with the hash of the entry before.

What is older than ``KEEP_AUDIT`` is removed from the beginning of the chain on, and an entry at its end says up to
which hash. So the chain proves its own beginning: what else is missing there was removed by somebody else. Texts that
are erased are noted in the same way.
"""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, takewhile
from typing import Any

from django.db import connections, transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Coalesce, Now

from outbox.conf import conf
from outbox.models import AuditEntry

ASKED = "ask"
"""The action of whoever has asked the other side, which changes nothing."""
PRUNED = "prune"
"""The action under which the engine notes that the oldest entries were removed. Nobody does this by hand."""
ERASED = "erase"
"""The action under which it is noted whose texts were erased."""
GENESIS = "0" * 64
"""What the first entry carries as the hash of the entry before."""
ENGINE = "outbox"
"""Who removes old entries."""
ITSELF = "audit"
"""What they are removed from, as the audit names it."""
BY_THE_DAY = timedelta(days=1)
"""How much must be too old before anything is removed, so that there is one such note a day."""
PAGE = 1_000
"""Entries that one statement reads of the chain."""
ENTRY_BATCH = 2_000
"""Entries removed by one transaction at most: a tenth of a second, in which nobody else appends."""


def append(
    *,
    actor: str,
    origin: str,
    action: str,
    subject: str,
    message_id: int | None,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reason: str,
) -> AuditEntry:
    """Write one entry at the end of the chain; call it inside the transaction of the act itself.

    Appending waits for others who append, until they commit, so that the chain never forks.
    """
    if not connections[conf().database].in_atomic_block:
        raise RuntimeError("an audit entry belongs to the transaction of the act it tells of")
    _wait_for_turn()
    entry = AuditEntry(
        at=_database_now(),
        actor=actor,
        origin=origin,
        action=action,
        message_id=message_id,
        subject=subject,
        before=dict(before),
        after=dict(after),
        reason=reason,
        salt=secrets.token_hex(16),
        previous=last_digest(),
    )
    entry.texts_digest = entry.texts_sealed()
    entry.digest = entry.sealed()
    entry.save(force_insert=True, using=conf().database)
    return entry


def last_digest() -> str:
    """Return the hash at the end of the chain; whoever notes it elsewhere can tell later if the end was cut off."""
    return AuditEntry.objects.order_by("-id").values_list("digest", flat=True).first() or GENESIS


def last_act_on(message_id: int) -> AuditEntry | None:
    """Return the newest entry about a message that changed it, if there is one."""
    changed = AuditEntry.objects.filter(message_id=message_id).exclude(after={}).exclude(action=ASKED)
    return changed.order_by("-id").first()


def acts_about(subject: str, *actions: str) -> QuerySet[AuditEntry]:
    """Return the entries of these actions about something that is no message, newest first."""
    return AuditEntry.objects.filter(message_id__isnull=True, subject=subject, action__in=actions).order_by("-id")


def last_act_about(subject: str, *actions: str) -> AuditEntry | None:
    """Return the newest of ``acts_about``, if there is one."""
    return acts_about(subject, *actions).first()


def in_pages(entries: QuerySet[AuditEntry]) -> Iterator[AuditEntry]:
    """Yield the entries by id, a page a statement: a cursor of the server's does not live through a pooler."""
    last = 0
    while page := list(entries.filter(pk__gt=last).order_by("pk")[:PAGE]):
        yield from page
        last = page[-1].pk


def verify_chain() -> AuditEntry | None:
    """Read the whole chain and return the first entry that does not fit, or None if every one does.

    An entry does not fit if its content no longer gives its hash, or if it does not follow the entry before it (one
    was changed, removed or put in between). The first must follow what ``prune_entries`` has noted as the last it
    removed, and texts that are not there must be noted by ``erase_texts``. Entries cut off at the end cannot be seen
    from the chain alone.
    """
    beginning = _beginning()
    entries = in_pages(AuditEntry.objects.all())
    first = next(entries, None)
    # Somebody may be pruning: the chain begins where it did before it was read, or where it does now.
    if first is None or first.previous not in (beginning, _beginning()):
        return first
    previous = first.previous
    empty: dict[int, AuditEntry] = {}
    for entry in chain([first], entries):
        texts_fit = entry.is_erased or entry.texts_digest == entry.texts_sealed()
        if entry.previous != previous or entry.digest != entry.sealed() or not texts_fit:
            return entry
        previous = entry.digest
        if entry.is_erased:
            empty[entry.pk] = entry
        elif entry.action == ERASED:
            for id in entry.before["entries"]:
                empty.pop(id, None)
    return next(iter(empty.values()), None)


def erase_texts(message_ids: Collection[int], *, actor: str, origin: str, subject: str, reason: str) -> None:
    """Erase reasons and changes of all entries about these messages for good, and note it at the end of the chain.

    Call it inside a transaction.
    """
    _wait_for_turn()
    rows = AuditEntry.objects.filter(message_id__in=message_ids).exclude(salt="")
    note = {"messages": sorted(message_ids), "entries": sorted(rows.values_list("pk", flat=True))}
    append(
        actor=actor,
        origin=origin,
        action=ERASED,
        subject=subject,
        message_id=None,
        before=note,
        after={},
        reason=reason,
    )
    _allow("outbox.erase_audit", "on")
    AuditEntry.objects.filter(pk__in=note["entries"]).update(salt="", before={}, after={}, reason="")
    _allow("outbox.erase_audit", "")


def prune_entries(*, older_than: timedelta) -> int:
    """Remove the oldest entries, all of them older than ``older_than``, at most ``ENTRY_BATCH``; return how many.

    Nothing is removed before the oldest is a day older than that. The note of it is the newest entry of the chain: what
    was removed last (id, hash, when), and how many entries with it.
    """
    with transaction.atomic(using=conf().database):
        now, oldest = _database_now(), AuditEntry.objects.order_by("id")
        first = oldest.first()
        if first is None or first.at >= now - older_than - BY_THE_DAY:
            return 0
        _wait_for_turn()
        # From the beginning on only: where a clock was set back, the chain still gets no gap.
        old = list(takewhile(lambda entry: entry.at < now - older_than, oldest.only("at", "digest")[:ENTRY_BATCH]))
        if old:
            _note_removal(old, older_than)
            _remove_up_to(old[-1])
        return len(old)


def _note_removal(going: Sequence[AuditEntry], older_than: timedelta) -> None:
    last = going[-1]
    append(
        actor=ENGINE,
        origin="",
        action=PRUNED,
        subject=ITSELF,
        message_id=None,
        before={"entries": len(going), "last_id": last.pk, "last_at": last.at.isoformat(), "last_hash": last.digest},
        after={},
        reason=f"older than {older_than.days} days",
    )


def _remove_up_to(last: AuditEntry) -> None:
    """Remove the beginning of the chain. PostgreSQL's trigger lets go what this transaction has named, nothing else."""
    _allow("outbox.prune_audit", str(last.pk))
    AuditEntry.objects.filter(pk__lte=last.pk)._raw_delete(conf().database)


def _allow(what: str, value: str) -> None:
    """Set for this transaction what PostgreSQL's trigger lets pass."""
    connection = connections[conf().database]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, true)", [what, value])


def _beginning() -> str:
    """Return the hash that the first entry must follow."""
    noted = acts_about(ITSELF, PRUNED).first()
    return noted.before["last_hash"] if noted else GENESIS


def _wait_for_turn() -> None:
    """Wait for others who append, until they commit. SQLite has one writer at a time anyway."""
    connection = connections[conf().database]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('outbox.audit'), 0)")


def _database_now() -> datetime:
    """Return the database's clock to the millisecond, by an aggregate over no rows, which answers on every database.

    ``dumpdata`` writes no more digits, and a seal must fit the copy as well.
    """
    now: datetime = AuditEntry.objects.filter(pk__lt=0).aggregate(now=Coalesce(Max("at"), Now()))["now"]
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
