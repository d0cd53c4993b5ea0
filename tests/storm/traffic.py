"""What flows while the storm goes on: good messages, bad ones, and those whose handlers misbehave."""

import random
from itertools import count

from tests.harness.installation import Client
from tests.shop.misbehaviour import MISBEHAVIOUR

GUILTY = "guilty "
"""What the key of a message begins with whose handler misbehaves; it has one effect at most. All others have one."""
BAD = ["fail", "reject", "kill"]
"""What ends with a message that has failed, or may."""


WIDE = ("shop.called", "shop.awaited")
"""Topics whose messages are called beside each other, in threads and on an event loop."""


class Traffic:
    """Publishes through a client, which the storm may kill, and remembers how many there must be."""

    def __init__(self, client: Client, rng: random.Random) -> None:
        self._client, self._rng = client, rng
        self._numbers = count(1)
        self.published = 0

    def publish(self, many: int) -> None:
        """Publish a mixture, some in order of a key, several a commit."""
        for topic in ("shop.sold", "shop.sold", "shop.sold_slowly", "shop.ordered", "shop.counted", *WIDE):
            each = {self._key(topic): self._payload(topic) for _ in range(many)}
            self._send(topic, each)
        self._publish_in_order(many)

    def _key(self, topic: str) -> str:
        guilty = topic in ("shop.sold", "shop.sold_slowly") and self._rng.random() < 0.05
        return f"{GUILTY if guilty else ''}{next(self._numbers)}"

    def _payload(self, topic: str) -> dict[str, object]:
        if topic in WIDE:
            return {"seconds": self._rng.uniform(0, 0.5), "settle": True}
        if self._rng.random() < 0.1:
            return {"do": "sleep", "seconds": self._rng.uniform(0, 0.2)}
        return {"do": "fail once"} if self._rng.random() < 0.03 else {}

    def _publish_in_order(self, many: int) -> None:
        topic = f"shop.queue.{self._rng.randrange(4)}"
        each = {f"{topic} {next(self._numbers)}": {} for _ in range(many)}
        self._send(topic, each, ordering_key=topic)

    def _send(self, topic: str, each: dict[str, dict[str, object]], ordering_key: str = "") -> None:
        for key in each:
            if key.startswith(GUILTY):
                each[key] = {"do": "misbehave", "how": self._rng.choice(list(MISBEHAVIOUR))}
        self._client.publish(
            topic, list(each), {}, each=each, per_commit=self._rng.randrange(1, 20), ordering_key=ordering_key
        )
        self.published += len(each)
