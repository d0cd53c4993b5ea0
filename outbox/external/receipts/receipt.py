"""What a receipt is: an object of JSON that anybody can write, and its signature."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from outbox.models.said import storable

CONSUMED, FAILED, REJECTED = "consumed", "failed", "rejected"
OUTCOMES = (CONSUMED, FAILED, REJECTED)
DETAIL_LENGTH = 1_000
"""Characters of a detail that are kept."""
MOST_BYTES = 64 * 1024
"""Bytes of a receipt; what is longer is none."""
MOST_ATTEMPTS = 2**31


class NoReceipt(Exception):
    """What came is no receipt; the text says why."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What ``receiver`` says of the attempt ``attempt`` of a message, which it knows by its id."""

    message_id: str
    attempt: int
    receiver: str
    outcome: str
    detail: str = ""
    signature: str = ""

    @property
    def key(self) -> UUID:
        """The idempotency key of the message that is meant."""
        return UUID(self.message_id)

    def signed_with(self, secret: str) -> str:
        """Return the signature: HMAC-SHA256, in hex, of the five texts with line ends between them."""
        text = "\n".join((self.message_id, str(self.attempt), self.receiver, self.outcome, self.detail))
        return hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def is_signed_with(self, secret: str) -> bool:
        """Tell whether its signature was made with ``secret``."""
        given = self.signature.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(self.signed_with(secret).encode(), given)

    @property
    def shown_detail(self) -> str:
        """The detail as any database stores it."""
        return storable(self.detail, most=DETAIL_LENGTH)

    def as_json(self, secret: str = "") -> bytes:
        """Return it as it travels, signed if there is a ``secret``."""
        signature = {"signature": self.signed_with(secret)} if secret else {}
        said = {
            "message_id": self.message_id,
            "attempt": self.attempt,
            "receiver": self.receiver,
            "outcome": self.outcome,
            "detail": self.detail,
        }
        return json.dumps({**said, **signature}, ensure_ascii=False).encode()


def read_receipt(body: bytes) -> Receipt:
    """Return the receipt that a body says; ``NoReceipt`` for anything else."""
    if len(body) > MOST_BYTES:
        raise NoReceipt(f"{len(body):,} bytes")
    try:
        said = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise NoReceipt("no JSON") from error
    if not isinstance(said, dict):
        raise NoReceipt("no object")
    texts = {name: said.get(name, "") for name in ("message_id", "receiver", "outcome", "detail", "signature")}
    attempt: Any = said.get("attempt")
    if wrong := [name for name, text in texts.items() if not isinstance(text, str)]:
        raise NoReceipt(f"{wrong[0]} is no text")
    if type(attempt) is not int or not 1 <= attempt < MOST_ATTEMPTS:
        raise NoReceipt("attempt is no number from 1 on")
    if texts["outcome"] not in OUTCOMES:
        raise NoReceipt(f"outcome is none of {', '.join(OUTCOMES)}")
    try:
        UUID(texts["message_id"])
    except ValueError as error:
        raise NoReceipt("message_id is none of ours") from error
    return Receipt(attempt=attempt, **texts)
