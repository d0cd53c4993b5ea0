"""Hurrying many: what a consumer has waiting for its own time is made due, chunk by chunk, the soonest first."""

from collections.abc import Iterator

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.errors import NotAllowed
from outbox.models import Message
from outbox.models.queryset import MessageQuerySet
from outbox.models.sql.order import OrderOfKey, wake_heads
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction
from outbox.operate.pacing import Pace


def delayed_of(consumer: str) -> MessageQuerySet:
    """Return what of a consumer waits for its own time, the soonest due first.

    The index begins where that begins: what is due already, thousands just made due among it, is not read.
    """
    return Message.objects.filter(consumer=consumer, due_at__gt=Now()).delayed().order_by("due_at", "id")


@noted_if_refused(Action.HURRY, name="consumer {}".format)
def hurry_many(consumer: str, *, most: int, actor: Actor, reason: str, origin: str = "") -> Iterator[int]:
    """Let at most ``most`` messages of ``consumer`` be due now; yield how many after each transaction.

    What a worker is just taking up is passed over. Each transaction has an entry in the audit. The rescan sends them as
    fast as the consumer takes them. May be stopped between two transactions and begun again.
    """
    action = OperatorAction(Action.HURRY, actor, reason, origin)
    action.check()
    if most < 1:
        raise NotAllowed(_("At most %(most)d messages: it must be 1 or more.") % {"most": most})
    return _in_chunks(consumer, most, action)


def _in_chunks(consumer: str, most: int, action: OperatorAction) -> Iterator[int]:
    pace = Pace()
    while most > 0:
        with pace.timed():
            done = _hurry_chunk(consumer, min(pace.rows, most), action)
        if not done:
            return
        yield done
        most -= done


def _hurry_chunk(consumer: str, limit: int, action: OperatorAction) -> int:
    with transaction.atomic(using=conf().database):
        free = delayed_of(consumer).select_for_update(skip_locked=True, no_key=True)
        keys: dict[int, str] = dict(free.values_list("pk", "ordering_key")[:limit])
        if not keys:
            return 0
        Message.objects.filter(pk__in=keys).make_due(after_a_call=conf().lease)
        if orders := {OrderOfKey(consumer, ordering_key) for ordering_key in keys.values() if ordering_key}:
            wake_heads(orders)
        action.record(consumer, before={}, after={"messages": len(keys), "first": min(keys), "last": max(keys)})
    return len(keys)
