"""A receiver elsewhere that knows no Django and nothing of ours: plain pika, and the recipe of the manual's page.

``python -m tests.harness.remote URL EXCHANGE QUEUE`` takes one message, says so, and hangs over it until it is killed.
"""

import hashlib
import hmac
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.harness.subscribers import PikaSubscriber, Received

SECRET = "a secret of the partner's"


def receipt_for(received: Received, outcome: str = "consumed", *, secret: str = SECRET, **other: Any) -> dict[str, Any]:
    """Return what a receiver says of a message, signed as the manual says; ``other`` is what it says otherwise."""
    said = {
        "message_id": received.message_id,
        "attempt": received.headers["x-outbox-attempt"],
        "receiver": received.headers["x-outbox-receiver"],
        "outcome": outcome,
        "detail": "",
        **other,
    }
    return sign(said, secret)


def sign(said: dict[str, Any], secret: str = SECRET) -> dict[str, Any]:
    """Return a receipt with its signature."""
    text = "\n".join(str(said[name]) for name in ("message_id", "attempt", "receiver", "outcome", "detail"))
    return {**said, "signature": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}


Answer = Callable[[Received], list[dict[str, Any]]]


class RemoteConsumer(PikaSubscriber):
    """Takes what is forwarded, and says of each message what ``answer`` returns: any number of receipts."""

    answer: Answer

    def _take(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        super()._take(channel, method, properties, body)
        received = self.received[-1]
        for said in self.answer(received):
            channel.basic_publish("", received.headers["x-outbox-receipts"], json.dumps(said).encode())

    def say(self, *receipts: dict[str, Any], queue: str) -> None:
        """Send receipts at any other time."""

        def publish() -> None:
            for said in receipts:
                self._channel.basic_publish("", queue, json.dumps(said).encode())

        self._connection.add_callback_threadsafe(publish)


@contextmanager
def remote_consumer(url: str, exchange: str, answer: Answer, *, queue: str = "") -> Iterator[RemoteConsumer]:
    """Run a remote consumer."""
    RemoteConsumer.answer = staticmethod(answer)  # before its thread begins
    consumer = RemoteConsumer(url, exchange, "#", queue=queue)
    try:
        yield consumer
    finally:
        consumer.close()


def _hang(received: Received) -> list[dict[str, Any]]:
    print("took", received.message_id, flush=True)
    time.sleep(600)
    return []


if __name__ == "__main__":
    with remote_consumer(sys.argv[1], sys.argv[2], _hang, queue=sys.argv[3]):
        print("ready", flush=True)
        time.sleep(600)
