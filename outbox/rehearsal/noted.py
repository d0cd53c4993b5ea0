"""Rehearsals that somebody waits for, a message or some: made, and noted in the audit."""

from collections.abc import Callable, Iterator, Sequence

from outbox.errors import NotRehearsable
from outbox.operate.operator_action import Actor
from outbox.operate.patch import NO_PATCH, Patch
from outbox.operate.rehearsals import check_rehearsal, note_rehearsal
from outbox.rehearsal import run
from outbox.rehearsal.results import Result, Summary

Watched = Callable[[Iterator[Result]], Iterator[Result]]
"""Passes results on, and says meanwhile how far it has come."""


def rehearse(
    consumer: str,
    ids: Sequence[int],
    *,
    subject: str,
    actor: Actor,
    origin: str = "",
    message_id: int | None = None,
    patch: Patch = NO_PATCH,
    together: bool = False,
    watched: Watched = iter,
) -> Summary:
    """Rehearse these messages of a consumer, note who did it in the audit, and return what it came to.

    ``together`` calls one chunk of them in one transaction as well. Raises ``NotAllowed`` without the permission, and
    ``NotRehearsable`` as ``run.rehearse`` does; what was called until then is noted.
    """
    check_rehearsal(subject, actor=actor, origin=origin)
    run.rehearsable(consumer)
    summary, how = Summary(), "broken off"
    try:
        for result in watched(run.rehearse(consumer, ids, patch=patch)):
            summary.add(result)
        if together:
            summary.together = run.rehearse_together(consumer, ids, patch=patch)
        how = ""
    except NotRehearsable as error:
        how = str(error).partition("\n")[0]
        raise
    finally:
        note_rehearsal(
            subject,
            counts=summary.as_counts(),
            kinds=len(summary.groups),
            actor=actor,
            origin=origin,
            message_id=message_id,
            changed_keys=patch.paths,
            how=how,
        )
    return summary
