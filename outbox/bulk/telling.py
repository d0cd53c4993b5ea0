"""A word to people, by the channels of the alerts: an operation has ended, stopped itself, or waits for approval.

First it is sent, then it is noted that it was. So a process that dies in between tells it twice, and nothing is kept
from anybody. One process is at it at a time.
"""

from datetime import timedelta

from django.utils.translation import gettext as _

from outbox.bulk import selection
from outbox.models import BulkOperation, Heartbeat
from outbox.models.bulk import BulkState, StoppedBecause
from outbox.monitoring.alerts import Notification, NotificationKind
from outbox.monitoring.alerts import tell as tell_people
from outbox.monitoring.findings import Level

TURNS = "bulk words by turns"
TURN = timedelta(seconds=20)
"""Only one process tells in so long; longer than telling takes."""


def tell() -> int:
    """Tell what has not been told of, and return how many operations that were."""
    untold = list(BulkOperation.objects.filter(told=False).order_by("pk"))
    if not untold or not Heartbeat.objects.claim(TURNS, every=TURN):
        return 0
    if not tell_people([_notification(operation) for operation in untold]):
        return 0
    for operation in untold:
        # In the state that was told of: it may be in another by now, of which people are told next time.
        BulkOperation.objects.filter(pk=operation.pk, state=operation.state).update(told=True)
    return len(untold)


def _notification(operation: BulkOperation) -> Notification:
    bad = operation.state in (BulkState.STOPPED, BulkState.WAITING)
    return Notification(
        NotificationKind.NEW if bad else NotificationKind.RESOLVED,
        Level.WARNING if bad else Level.OK,
        f"bulk:{operation.pk}",
        _sentence(operation),
        operation.changed_at,
    )


def _sentence(operation: BulkOperation) -> str:
    words = {
        "id": operation.pk,
        "verb": operation.get_verb_display(),
        "set": selection.describe(operation.source),
        "actor": operation.started_by,
        "done": operation.done,
        "refused": operation.refused,
        "succeeded": operation.succeeded,
        "failed": operation.failed_again,
        "remaining": operation.remaining,
        "why": StoppedBecause(operation.stopped_because).label if operation.stopped_because else "",
    }
    match operation.state:
        case BulkState.WAITING:
            text = _("Bulk operation %(id)d (%(verb)s; %(set)s) by %(actor)s waits for a second person's approval.")
        case BulkState.STOPPED:
            text = _(
                "Bulk operation %(id)d (%(verb)s; %(set)s) by %(actor)s stopped itself: %(why)s. Done: %(done)d, "
                "succeeded: %(succeeded)d, failed again: %(failed)d, not done: %(remaining)d."
            )
        case BulkState.CANCELLED:
            text = _(
                "Bulk operation %(id)d (%(verb)s; %(set)s) by %(actor)s was cancelled. Done: %(done)d, refused: "
                "%(refused)d, not done: %(remaining)d."
            )
        case _other:
            text = _(
                "Bulk operation %(id)d (%(verb)s; %(set)s) by %(actor)s is done. Done: %(done)d, refused: %(refused)d, "
                "failed again: %(failed)d."
            )
    return text % words
