"""Webhooks: what clients are told by HTTP, signed as the Standard Webhooks have it.

A receiver may be told the same thing twice, as the answer may be lost; both have the same ``webhook-id``.
"""

import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from awards import conf
from awards.channels import calls
from awards.errors import CallFailed, CallRefused
from awards.models import Award, Scope, Webhook
from awards.models.webhook import SECRET_MARK

WHO = "the client's webhook"
GONE = 410


def tell(webhook: Webhook, *, id: str, said: Mapping[str, Any]) -> int:
    """Tell the client, and return the status that it answered. ``webhook`` must have been read ``with_clock``.

    Raises ``BadAddress`` if its address must not be called any more, ``Unreachable`` if nothing was taken,
    ``CallRefused`` if it wants to be told nothing more (410), and ``CallFailed`` or ``Unanswered`` if nobody knows.
    What the client answers beyond the status is read and not kept.
    """
    conf.check_webhook_address(webhook.url)
    content = json.dumps(said, ensure_ascii=False).encode()
    status, _answer = calls.send(
        "POST",
        webhook.url,
        who=WHO,
        timeouts=conf.webhook_timeouts(),
        headers={"Content-Type": "application/json", "User-Agent": "makegood-webhook", **sign(webhook, id, content)},
        content=content,
    )
    if status == GONE:
        raise CallRefused(f"{WHO} answered 410: it wants to be told nothing more", failure_code=status)
    if not 200 <= status < 300:
        raise CallFailed(f"{WHO} answered {status}", failure_code=status)
    return status


def sign(webhook: Webhook, id: str, content: bytes) -> dict[str, str]:
    """Return the headers that prove who says it and when: an HMAC over id, time and body by each valid secret."""
    at = str(int(time.time()))
    secrets = [webhook.secret, *([webhook.previous] if webhook.both_valid else [])]
    signatures = " ".join(f"v1,{_signature(secret, f'{id}.{at}.'.encode() + content)}" for secret in secrets)
    return {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": signatures}


def change_of(award: Award, webhook: Webhook, *, state: str, version: int, at: datetime) -> dict[str, Any]:
    """Return what is told of an award, read with its draw's campaign and its prize.

    Whose it is, and by which draw, is told to clients that may read that anyway: the draw's id opens its page, where
    the code of a coupon stands and a gift is claimed.
    """
    readable = {"draw": str(award.draw.public_id), "person": award.person} if webhook.client.may(Scope.READ) else {}
    return {
        "type": "award.changed",
        "timestamp": at.isoformat(),
        "data": {
            "award": str(award.public_id),
            "state": state,
            "version": version,
            "campaign": award.draw.campaign.slug,
            "prize": {"name": award.prize.name, "kind": award.kind, "value": f"{award.value:.2f}"},
            **readable,
        },
    }


def _signature(secret: str, signed: bytes) -> str:
    key = b64decode(secret.removeprefix(SECRET_MARK))
    return b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
