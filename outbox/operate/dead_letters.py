"""Discarding dead letters. The rescan takes them off their queue within seconds: no page waits for the broker."""

from collections.abc import Collection

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.errors import Conflict
from outbox.models import DeadLetter
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction, snapshot

AUDITED = ("queue", "reason", "died_at", "task_id", "consumer", "ids")
"""What the audit keeps of a letter that is gone."""


@noted_if_refused(Action.DISCARD_LETTERS, name=lambda _ids: "dead letters")
def discard_letters(ids: Collection[int], *, actor: Actor, reason: str, origin: str = "") -> int:
    """Discard the dead letters ``ids`` and return how many those were; the audit has one entry for all.

    The messages that they named are not touched. Raises ``Conflict`` if none of them is there any more.
    """
    action = OperatorAction(Action.DISCARD_LETTERS, actor, reason, origin)
    action.check()
    with transaction.atomic(using=conf().database):
        letters = list(DeadLetter.objects.shown().filter(pk__in=ids).select_for_update().order_by("pk"))
        if not letters:
            raise Conflict(_("These dead letters are not there any more."))
        DeadLetter.objects.filter(pk__in=[letter.pk for letter in letters]).update(
            discarded_at=Now(), discarded_by=action.actor_name
        )
        subject = str(letters[0]) if len(letters) == 1 else f"{len(letters)} dead letters"
        action.record(subject, before={str(one): snapshot(one, AUDITED) for one in letters}, after={})
    return len(letters)
