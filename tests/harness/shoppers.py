"""People at a sale who do not give up: each sends the same request until it is answered, whatever dies meanwhile."""

import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

ANSWERED = frozenset({200, 201, 409})
"""A draw, the same draw again, or a refusal."""
AGAIN_AFTER = 0.1
NOT_YET = frozenset({"request_under_way"})
"""Refusals after which the same request may still be drawn."""


@dataclass
class Shoppers:
    """So many people, as many at once as there are threads."""

    port: int
    people: int
    threads: int = 8
    slug: str = "sale"
    told: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What each was told at the end, by name; once each."""
    come: int = 0
    """How many may come by now; the test lets in more."""
    repeated: int = 0
    """Requests that had to be sent again."""
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> Sequence[threading.Thread]:
        """Let them come; join the threads to wait until all were answered."""
        threads = [threading.Thread(target=self._shop, daemon=True) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        return threads

    @property
    def answered(self) -> int:
        """How many have been answered by now."""
        return len(self.told)

    def _shop(self) -> None:
        while (person := self._somebody()) is not None:
            answer = self._ask_until_answered(person)
            with self._lock:
                self.told.setdefault(person, []).append(answer)

    def _somebody(self) -> str | None:
        while True:
            with self._lock:
                if self._next >= self.people:
                    return None
                if self._next < self.come:
                    self._next += 1
                    return f"person-{self._next}"
            time.sleep(0.02)

    def _ask_until_answered(self, person: str) -> dict[str, Any]:
        while True:
            try:
                status, body = self._ask(person)
            except (OSError, http.client.HTTPException):
                status, body = 0, {}
            if status in ANSWERED and body.get("code") not in NOT_YET:
                return {"status": status, **body}
            with self._lock:
                self.repeated += 1
            time.sleep(AGAIN_AFTER)

    def _ask(self, person: str) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            headers = {"Content-Type": "application/json", "Idempotency-Key": person}
            connection.request("POST", f"/api/campaigns/{self.slug}/draws", json.dumps({"person": person}), headers)
            answer = connection.getresponse()
            return answer.status, dict(json.loads(answer.read()))
        finally:
            connection.close()
