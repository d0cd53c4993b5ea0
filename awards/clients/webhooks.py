"""Where a client is told of awards: set, rotated, tried out, switched off."""

import uuid

from django.db import router, transaction
from django.db.models.functions import Now

from awards import conf
from awards.channels import webhook as channel
from awards.models import ApiClient, Webhook
from awards.models.webhook import make_secret


def set_address(client: ApiClient, url: str, *, actor: str) -> tuple[Webhook, bool]:
    """Have the client told at ``url``; return its webhook, and whether it is new.

    A new one has a new secret, to be shown. One that is there keeps its secret, and is switched on if it was off.
    ``actor`` is the name of who set it. Raises ``BadAddress`` for an address that must not be called.
    """
    conf.check_webhook_address(url)
    with transaction.atomic(using=router.db_for_write(Webhook)):
        found, new = Webhook.objects.get_or_create(
            client=client, defaults={"url": url, "secret": make_secret(), "set_by": actor}
        )
        if not new:
            Webhook.objects.filter(pk=found.pk).update(url=url, active=True, set_by=actor, set_at=Now())
            found.refresh_from_db()
    return found, new


def switch_off(webhook: Webhook) -> bool:
    """Tell the client nothing more, what waits included; tell whether it was told before."""
    return Webhook.objects.filter(pk=webhook.pk, active=True).update(active=False) == 1


def try_out(client: ApiClient) -> int:
    """Tell the client something that is of no account, and return the status that it answered.

    Raises ``BadAddress`` or a ``CallError``.
    """
    webhook = Webhook.objects.with_clock().get(client=client)
    return channel.tell(webhook, id=f"try-{uuid.uuid4()}", said={"type": "webhook.try", "data": {}})
