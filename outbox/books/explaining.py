"""A difference that stays, because what has happened cannot be undone: a person says how it came."""

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.errors import Conflict
from outbox.models import BookDifference, BookWindow, WindowState
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction

AUDITED = ("book", "kind", "key", "consumer", "message_id", "explained_by")


@noted_if_refused(Action.EXPLAIN, name="difference {}".format)
def explain(difference_id: int, *, actor: Actor, reason: str, origin: str) -> BookDifference:
    """Note that a difference is understood; its window may balance from then on, and its messages may be pruned.

    Raises ``NotAllowed`` without permission or reason, and ``Conflict`` if it is gone or explained already.
    """
    action = OperatorAction(Action.EXPLAIN, actor, reason, origin)
    action.check()
    difference = BookDifference.objects.filter(pk=difference_id).first()
    if difference is None:
        raise _gone()
    return action.change(
        difference,
        BookDifference.objects.unexplained().filter(pk=difference_id),
        audited=AUDITED,
        subject=f"book {difference.book}: {difference.kind} {difference.key} {difference.consumer}".strip()[:500],
        message_id=difference.message_id,
        conflict=_gone,
        also=lambda: _read_again(difference),
        explained_at=Now(),
        explained_by=action.actor_name,
        explanation=reason.strip(),
    )


def _read_again(difference: BookDifference) -> None:
    if difference.number is None:
        return
    windows = BookWindow.objects.filter(book=difference.book, number=difference.number)
    windows.filter(state=WindowState.UNBALANCED).update(state=WindowState.OPEN)


def _gone() -> Conflict:
    return Conflict(_("The difference is gone, or somebody has explained it already. Look again."))
