"""People at a sale, over a few connections that stay open: each draws once, and asks until it is answered.

A process of its own, and only to this machine. They come all at once, or so many a second. One line of JSON says what
became of them.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.measurements import quantile
from tests.harness.program import ROOT

HOST = "127.0.0.1"
ADDRESS = "/api/campaigns/bench/draws"
ASKS_AFTER = 0.4
"""Seconds after which somebody asks who was told to wait: sooner than ``Retry-After`` says."""
HURRIED_OFF = frozenset({429})
"""Whoever is answered so was not let in."""


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Task = tuple[int, str, float]


@dataclass
class Load:
    """Who comes: how many, over how many connections, and how many a second (0: all at once)."""

    port: int
    people: int
    connections: int = 64
    a_second: float = 0.0
    name: str = "person"
    seconds: float = 0.0
    """After which nobody else begins; 0: all come."""


@dataclass
class Answers:
    """What they were answered."""

    by_kind: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    refused_waits: list[float] = field(default_factory=list)
    requests: int = 0
    seconds: float = 0.0


def run_load(load: Load, *, within: float = 900.0) -> dict[str, Any]:
    """Send the people from another process, and return what became of them."""
    argv = [sys.executable, "-m", "benchmarks.sale_load", json.dumps(asdict(load))]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=within, check=False)
    if ended.returncode:
        raise SystemExit(f"the client failed:\n{ended.stderr[-2000:]}")
    return dict(json.loads(ended.stdout))


class Crowd:
    """The people: who has come, and what they were answered."""

    def __init__(self, load: Load) -> None:
        self.load, self.answers = load, Answers()
        self._began = time.perf_counter()
        self._tasks: asyncio.Queue[Task | None] = asyncio.Queue()
        self._unanswered = 0
        self._all_have_come = False

    async def come(self) -> None:
        """Let them come, each at their time."""
        for number in range(1, self.load.people + 1):
            at = self._began + (number - 1) / self.load.a_second if self.load.a_second else time.perf_counter()
            if (early := at - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            if self.load.seconds and time.perf_counter() - self._began > self.load.seconds:
                break
            self._unanswered += 1
            self._tasks.put_nowait((number, "", at))
        self._all_have_come = True
        self._end_if_over()

    async def take(self) -> Task | None:
        """Return who does something next: number, address to ask (or none) and since when; None when all is over."""
        return await self._tasks.get()

    def note(self, number: int, since: float, status: int, body: dict[str, Any]) -> None:
        """Note an answer; who was told to wait asks again."""
        self.answers.requests += 1
        if status == 202:
            asks = (number, str(body["url"]), since)
            asyncio.get_running_loop().call_later(ASKS_AFTER, self._tasks.put_nowait, asks)
            return
        now = time.perf_counter()
        kind = str(body.get("outcome") or body.get("code") or status)
        self.answers.by_kind[kind] += 1
        (self.answers.refused_waits if status in HURRIED_OFF else self.answers.waits).append(now - since)
        self.answers.seconds = now - self._began
        self._unanswered -= 1
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._all_have_come and not self._unanswered:
            for _ in range(self.load.connections):
                self._tasks.put_nowait(None)


async def connect_and_go(crowd: Crowd) -> None:
    """Send one request after the other over one connection, until all is over.

    It is opened for the first request, and so is the next: gunicorn has a thread wait for one that says nothing.
    """
    connection: Connection | None = None
    while (task := await crowd.take()) is not None:
        number, address, since = task
        request = _get(address) if address else _post(f"{crowd.load.name}-{number}")
        while True:
            connection = connection or await asyncio.open_connection(HOST, crowd.load.port)
            try:
                connection[1].write(request)
                status, body, closes = await _read(connection[0])
                break
            except (asyncio.IncompleteReadError, ConnectionError):
                # Nobody has used it for a while, so the server has closed it. The same request again is the same draw.
                connection = None
        if closes:
            connection[1].close()
            connection = None
        crowd.note(number, since, status, body)
    if connection is not None:
        connection[1].close()


def _post(person: str) -> bytes:
    body = json.dumps({"person": f"{person}@example.com"}).encode()
    head = (
        f"POST {ADDRESS} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {person}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _get(address: str) -> bytes:
    return f"GET {address} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


async def _read(reader: asyncio.StreamReader) -> tuple[int, dict[str, Any], bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length:", 1)[1].split("\r\n", 1)[0])
    body = await reader.readexactly(length)
    return int(head[9:12]), json.loads(body), "connection: close" in head


async def _run(load: Load) -> Answers:
    crowd = Crowd(load)
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.come())
        for _ in range(load.connections):
            group.create_task(connect_and_go(crowd))
    return crowd.answers


def main(given: str) -> None:
    """Run the people and print what they were answered."""
    answers = asyncio.run(_run(Load(**json.loads(given))))
    said = {
        "by_kind": dict(answers.by_kind),
        "answered": len(answers.waits),
        "refused": len(answers.refused_waits),
        "requests": answers.requests,
        "seconds": answers.seconds,
        "p50_ms": quantile(answers.waits, 0.5) * 1e3 if answers.waits else 0.0,
        "p99_ms": quantile(answers.waits, 0.99) * 1e3 if answers.waits else 0.0,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1])
