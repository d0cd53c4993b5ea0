"""What each trial is given: an installation, the other side's book, and a place for what does not hold."""

import random
import time
from pathlib import Path
from typing import NamedTuple

from tests.harness.databases import Database
from tests.harness.installation import Installation
from tests.harness.program import eventually
from tests.harness.redis_server import RedisServer

UNFINISHED = "SELECT count(*) FROM outbox_message WHERE status IN ('pending', 'started')"
DONE_WITHIN = 30.0
"""Seconds after a kill within which everything is done."""


class Entry(NamedTuple):
    """One line of the vendor's book."""

    key: str
    pid: int
    at: float


class Trial:
    """An installation, the vendor's book, and the sentences about what does not hold."""

    def __init__(
        self,
        database: Database,
        installation: Installation,
        book: Path,
        times: int,
        rng: random.Random,
        redis: RedisServer | None,
    ) -> None:
        self.database, self.installation, self.book, self.times, self.rng = database, installation, book, times, rng
        self.redis = redis
        self.client = installation.client()
        self.problems: list[str] = []

    def entries(self) -> list[Entry]:
        """Return every call that the vendor has had, in their order."""
        lines = [line.split() for line in self.book.read_text().splitlines()]
        return [Entry(key, int(pid), float(at)) for key, pid, at in lines]

    def expect(self, holds: bool, sentence: str) -> None:
        """Note the sentence if it does not hold."""
        if not holds:
            self.problems.append(sentence)

    def finish(self, within: float) -> float:
        """Wait until nothing is unfinished; return the seconds that it took."""
        began = time.monotonic()
        eventually(lambda: not self.installation.count(UNFINISHED), within=within, what="all is finished")
        return time.monotonic() - began
