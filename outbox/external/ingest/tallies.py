"""How each source stands, for the desk: what was taken in of it, and what holds it up."""

from django.db import connections
from django.db.models import Case, F, Value, When
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.memory import Memory
from outbox.models import SourceHold, SourceState

SAID_LENGTH = 1_000
_there: Memory[set[str]] = Memory(set)
"""Sources whose rows were committed."""


def count(source: str, *, taken: int, known: int, quarantined: int) -> None:
    """Add to the source's figures, in the transaction that wrote what is counted, as its last statement.

    Receivers of one source wait here for each other, so the lock is held for as short as can be.
    """
    _ensure(source)
    changes = {"taken": F("taken") + taken, "known": F("known") + known, "quarantined": F("quarantined") + quarantined}
    at = {"last_taken_at": Now()} if taken else {}
    SourceState.objects.filter(pk=source).update(**changes, **at)


def say(source: str, hold: SourceHold, said: str = "") -> None:
    """Write down that a receiver of the source is alive, and what holds it up now."""
    _ensure(source)
    began = Case(When(hold=hold, then=F("hold_since")), default=Now()) if hold else Value(None)
    SourceState.objects.filter(pk=source).update(hold=hold, said=said[:SAID_LENGTH], hold_since=began, at=Now())


def _ensure(source: str) -> None:
    """See that the source has its row; a process looks once."""
    if source not in _there.value:
        SourceState.objects.bulk_create([SourceState(source=source)], ignore_conflicts=True)
        if not connections[conf().database].in_atomic_block:
            _there.value.add(source)
