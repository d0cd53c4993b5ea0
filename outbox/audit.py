"""The audit: who did what and why, appended with the act itself and sealed with the hash of the entry before.

What is older than ``KEEP_AUDIT`` is removed from the beginning of the chain on, and an entry at its end says up to
which hash. So the chain proves its own beginning: what else is missing there was removed by somebody else. Texts that
are erased are noted in the same way.
"""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from time import monotonic
from typing import Any

from django.db import connections, transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Coalesce, Now

from outbox.conf import conf
from outbox.models import AuditEntry

ASKED = "ask"
"""The action of whoever has asked the other side, which changes nothing."""
REHEARSED = "rehearse"
"""The action of whoever has had messages called and rolled back, which changes nothing either."""
DENIED = "denied"
"""The action under which it is noted that somebody was refused an act."""
NOTED = "note"
"""The action of whoever has written on a message, which does not change it."""
PASSIVE = (ASKED, NOTED, REHEARSED)
"""What changes no message."""
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
    changed = AuditEntry.objects.filter(message_id=message_id).exclude(after={}).exclude(action__in=PASSIVE)
    return changed.order_by("-id").first()


def last_note_on(message_id: int) -> AuditEntry | None:
    """Return the newest entry about what was written on a message, if there is one."""
    return AuditEntry.objects.filter(message_id=message_id, action=NOTED).order_by("-id").first()


def acts_about(subject: str, *actions: str) -> QuerySet[AuditEntry]:
    """Return the entries of these actions about something that is no message, newest first."""
    return acts_about_any([subject], *actions)


def acts_about_any(subjects: Collection[str], *actions: str) -> QuerySet[AuditEntry]:
    """Return the entries of these actions about any of these things, which are no messages, newest first."""
    found = AuditEntry.objects.filter(message_id__isnull=True, subject__in=subjects, action__in=actions)
    return found.order_by("-id")


def last_act_about(subject: str, *actions: str) -> AuditEntry | None:
    """Return the newest of ``acts_about``, if there is one."""
    return acts_about(subject, *actions).first()


def in_pages(entries: QuerySet[AuditEntry]) -> Iterator[AuditEntry]:
    """Yield the entries by id, a page a statement: a cursor of the server's does not live through a pooler."""
    last = 0
    while page := list(entries.filter(pk__gt=last).order_by("pk")[:PAGE]):
        yield from page
        last = page[-1].pk


@dataclass(frozen=True, slots=True)
class Checked:
    """How far the chain was checked: the last entry that fits with its hash, and how many were looked at so far.

    ``broken`` is the entry that does not fit, ``at_end`` whether there was no further entry.
    """

    last_id: int = 0
    last_digest: str = ""
    entries: int = 0
    broken: int | None = None
    at_end: bool = False


def verify_chain() -> int | None:
    """Check the whole chain at once, and return the id of the first entry that does not fit, or None."""
    return check_further(Checked()).broken


def check_further(checked: Checked, *, seconds: float = float("inf")) -> Checked:
    """Go on with the check of the chain for about so long, a page a statement, and return how far it has come.

    An entry does not fit if its content no longer gives its hash, or if it does not follow the entry before it (one
    was changed, removed or put in between). The first must follow what ``prune_entries`` has noted as the last it
    removed, and texts that are not there must be noted by ``erase_texts``. Entries cut off at the end cannot be seen
    from the chain alone; but the last that was checked must still be there when the check goes on.
    """
    until = monotonic() + seconds
    if not checked.last_id:
        checked = replace(checked, last_digest=_removed()[1])
    while True:
        page = list(AuditEntry.objects.filter(pk__gt=checked.last_id).order_by("pk")[:PAGE])
        # Somebody may be pruning: the chain begins where it did, or where it does by now.
        follows = _may_follow(checked)
        if follows is None:
            return replace(checked, broken=checked.last_id)
        if not page:
            return replace(checked, at_end=True)
        fitting = _count_fitting(page, {follows, checked.last_digest})
        last = page[fitting - 1] if fitting else None
        if last is not None:
            checked = replace(
                checked, last_id=last.pk, last_digest=last.digest, entries=checked.entries + fitting, at_end=False
            )
        if fitting < len(page):
            return replace(checked, broken=page[fitting].pk)
        if len(page) < PAGE:
            return replace(checked, at_end=True)
        if monotonic() >= until:
            return checked


def is_there_or_pruned(checked: Checked) -> bool:
    """Tell whether the last entry that was checked is there as it was, or is noted as removed by ``prune_entries``."""
    return _may_follow(checked) is not None


def _may_follow(checked: Checked) -> str | None:
    """Return the hash that the next entry must follow; None if the last that was checked is not there any more."""
    digest = AuditEntry.objects.filter(pk=checked.last_id).values_list("digest", flat=True).first()
    if digest is not None:
        return digest if digest == checked.last_digest else None
    last_id, last_digest = _removed()
    return last_digest if last_id >= checked.last_id else None


def _count_fitting(page: Sequence[AuditEntry], first_follows: Collection[str]) -> int:
    """Return how many entries fit, from the first on."""
    previous = first_follows
    for number, entry in enumerate(page):
        texts_fit = entry.is_erased or entry.texts_digest == entry.texts_sealed()
        if entry.previous not in previous or entry.digest != entry.sealed() or not texts_fit:
            return number
        previous = {entry.digest}
    erased = {entry.pk: number for number, entry in enumerate(page) if entry.is_erased}
    unnoted = set(erased).difference(*_noted_as_erased(page[0].pk)) if erased else ()
    return min((erased[id] for id in unnoted), default=len(page))


def _noted_as_erased(since: int) -> Iterator[list[int]]:
    """Give the ids that each erasure has noted, from an entry on. Whether a note is genuine, its own seal says."""
    notes = AuditEntry.objects.filter(action=ERASED, pk__gt=since).order_by("pk")
    for before in notes.values_list("before", flat=True):
        ids = before.get("entries") if isinstance(before, dict) else None
        yield [id for id in ids if isinstance(id, int)] if isinstance(ids, list) else []


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


def _removed() -> tuple[int, str]:
    """Return id and hash of the last entry that ``prune_entries`` has noted as removed: the first must follow it."""
    noted = acts_about(ITSELF, PRUNED).first()
    if noted is None or not isinstance(noted.before, dict):
        return 0, GENESIS
    last_id = noted.before.get("last_id")
    return last_id if isinstance(last_id, int) else 0, str(noted.before.get("last_hash", GENESIS))


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
