"""What a person does about a half message: publish it, take it back, or have its check asked once more."""

from collections.abc import Callable

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed, OperatorError, OutboxError
from outbox.external.halves.settling import draft_of, publish_otherwise
from outbox.models import Half, HalfState, SettledBy
from outbox.models.half import HalfQuerySet
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction
from outbox.publishing import publish_many

AUDITED = ("topic", "key", "check_name", "state", "settled_by", "settled_at", "asked")
"""What the audit keeps of a half message with each act."""


@noted_if_refused(Action.HALF_PUBLISH, name="half message {}".format)
def publish_by_hand(half_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Half:
    """Make a half message the message: the actor knows that its write was done."""
    action = OperatorAction(Action.HALF_PUBLISH, actor, reason, origin)
    return _settle(half_id, revision, action, HalfState.PUBLISHED, lambda half: publish_many([draft_of(half)]))


@noted_if_refused(Action.HALF_TAKE_BACK, name="half message {}".format)
def take_back_by_hand(half_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Half:
    """Take a half message back: the actor knows that its write was not done, and never will be."""
    action = OperatorAction(Action.HALF_TAKE_BACK, actor, reason, origin)
    return _settle(half_id, revision, action, HalfState.TAKEN_BACK, publish_otherwise)


@noted_if_refused(Action.HALF_ASK, name="half message {}".format)
def ask_again(half_id: int, *, revision: int, actor: Actor, reason: str = "", origin: str = "") -> Half:
    """Have the check asked now, with a fresh set of questions: its code or the other side was mended."""
    action = OperatorAction(Action.HALF_ASK, actor, reason, origin)
    action.check()
    half = _read(half_id)
    return action.change(
        half,
        _seen(half_id, revision),
        audited=AUDITED,
        subject=str(half),
        conflict=lambda: _overtaken(half_id),
        state=HalfState.OPEN,
        check_at=Now(),
        asked_at=None,
        fruitless=0,
        revision=F("revision") + 1,
    )


def why_not(half: Half) -> str:
    """Return why nobody may decide about the half message now, in words; empty if one may."""
    if half.settled_at is not None:
        return _("It is settled: nothing is left to decide.")
    if half.state == HalfState.OPEN and not half.asked:
        return _("Its producer may still be at work, and the check was not asked yet. Wait for the first answer.")
    return ""


def _settle(
    half_id: int, revision: int, action: OperatorAction, state: HalfState, also: Callable[[Half], object]
) -> Half:
    action.check()
    half = _read(half_id)
    if refusal := why_not(half):
        raise NotAllowed(refusal)
    try:
        with transaction.atomic(using=conf().database):
            return action.change(
                half,
                _seen(half_id, revision),
                audited=AUDITED,
                subject=str(half),
                conflict=lambda: _overtaken(half_id),
                also=lambda: also(half),
                state=state,
                settled_by=SettledBy.PERSON,
                settled_at=Now(),
                check_at=None,
                asked_at=None,
                revision=F("revision") + 1,
            )
    except OperatorError:
        raise
    except OutboxError as error:
        # Its topic has no consumer any more, or its key was published with something else.
        raise NotAllowed(_("The message cannot be published: %(error)s") % {"error": error}) from error


def _read(half_id: int) -> Half:
    half = Half.objects.filter(pk=half_id).first()
    if half is None:
        raise Conflict(_("The half message is not there any more."))
    return half


def _seen(half_id: int, revision: int) -> HalfQuerySet:
    return Half.objects.filter(pk=half_id, revision=revision).unsettled()


def _overtaken(half_id: int) -> Conflict:
    half = Half.objects.filter(pk=half_id).first()
    if half is None or half.settled_at is None:
        return Conflict(_("The half message has changed since you looked. Look again, then decide."))
    return Conflict(
        _("It is settled since you looked: %(state)s, by %(who)s.")
        % {"state": half.get_state_display(), "who": half.get_settled_by_display()}
    )
