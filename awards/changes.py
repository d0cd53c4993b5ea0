"""Telling clients that an award has changed: a message for each that wants to know, in the same transaction."""

from django.db import router

from awards import conf
from awards.listeners import CHANGED
from awards.models import Award, Webhook
from outbox import Draft, publish_many

CLAIMED = "claimed"
"""What an award is called that is still to be issued, and has been claimed; the others are called by their status."""


def tell_clients(award: Award, state: str, *, is_new: bool = False) -> None:
    """Tell the clients that ``award`` is now as ``state`` says. Call it in the transaction that has changed it.

    ``award`` is as it was read before the change, unless it ``is_new``. The messages name no person: what is told is
    read when it is told. Where no host is allowed for webhooks, nothing is asked.
    """
    if not conf.webhook_hosts():
        return
    version = award.version + (0 if is_new else 1)
    payload = {"award": award.pk, "state": state, "version": version}
    clients = Webhook.objects.using(router.db_for_write(Webhook)).told().order_by("pk").values_list("pk", flat=True)
    publish_many(
        [
            Draft(CHANGED, key=f"{award.pk}.{version}.{client}", payload={**payload, "client": client})
            for client in clients
        ]
    )
