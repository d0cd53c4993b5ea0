"""The audit: who did what and why, appended with the act itself and sealed with the hash of the entry before."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connections
from django.db.models import Max, QuerySet
from django.db.models.functions import Coalesce, Now

from outbox.conf import conf
from outbox.models import AuditEntry

GENESIS = "0" * 64
"""What the first entry carries as the hash of the entry before."""


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
    connection = connections[conf().database]
    if not connection.in_atomic_block:
        raise RuntimeError("an audit entry belongs to the transaction of the act it tells of")
    if connection.vendor == "postgresql":  # SQLite has one writer at a time anyway
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('outbox.audit'), 0)")
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
        previous=last_digest(),
    )
    entry.digest = entry.sealed()
    entry.save(force_insert=True, using=conf().database)
    return entry


def last_digest() -> str:
    """Return the hash at the end of the chain; whoever notes it elsewhere can tell later if the end was cut off."""
    return AuditEntry.objects.order_by("-id").values_list("digest", flat=True).first() or GENESIS


def last_act_on(message_id: int) -> AuditEntry | None:
    """Return the newest entry about a message that changed it, if there is one."""
    return AuditEntry.objects.filter(message_id=message_id).exclude(after={}).order_by("-id").first()


def acts_about(subject: str, *actions: str) -> QuerySet[AuditEntry]:
    """Return the entries of these actions about something that is no message, newest first."""
    return AuditEntry.objects.filter(message_id__isnull=True, subject=subject, action__in=actions).order_by("-id")


def last_act_about(subject: str, *actions: str) -> AuditEntry | None:
    """Return the newest of ``acts_about``, if there is one."""
    return acts_about(subject, *actions).first()


def verify_chain() -> AuditEntry | None:
    """Read the whole chain and return the first entry that does not fit, or None if every one does.

    An entry does not fit if its content no longer gives its hash, or if it does not follow the entry before it (one
    was changed, removed or put in between). Entries cut off at the end cannot be seen from the chain alone.
    """
    previous = GENESIS
    for entry in AuditEntry.objects.order_by("id").iterator(chunk_size=1000):
        if entry.previous != previous or entry.digest != entry.sealed():
            return entry
        previous = entry.digest
    return None


def _database_now() -> datetime:
    """Return the database's clock, by an aggregate over no rows, which answers on every database."""
    now: datetime = AuditEntry.objects.filter(pk__lt=0).aggregate(now=Coalesce(Max("at"), Now()))["now"]
    return now
