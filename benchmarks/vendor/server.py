"""The vendor's process: HTTP/1.1 with connections kept, as little of it as the calls need, so that it costs no time.

``POST /orders`` with an ``Idempotency-Key`` is answered after the latency, the slow key later. ``POST /setup`` with
``{"latency", "slow_key", "slow_latency"}`` opens a new book, ``GET /progress`` and ``GET /book`` tell what is in it.
"""

import asyncio
import json
import sys
import time
from typing import Any, NamedTuple

from benchmarks.vendor.book import Book

HOST = "127.0.0.1"
READY = "the vendor is open"
END_OF_HEAD = b"\r\n\r\n"
CREATED = b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"ordered": true}'
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BACKLOG = 1024


class Request(NamedTuple):
    """One request, and how many bytes of the input it takes."""

    method: str
    path: str
    key: str
    body: bytes
    length: int


def parse_request(data: bytes) -> Request | None:
    """Return the first request in ``data``, or None if it is not all there yet."""
    end = data.find(END_OF_HEAD)
    if end < 0:
        return None
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    method, path, _version = first.split(" ", 2)
    key, size = "", 0
    for line in lines:
        name, _colon, value = line.partition(":")
        match name.lower():
            case "idempotency-key":
                key = value.strip()
            case "content-length":
                size = int(value)
    start = end + len(END_OF_HEAD)
    if len(data) < start + size:
        return None
    return Request(method, path, key, data[start : start + size], start + size)


class Shop:
    """What the vendor knows: how slow it is, and its book."""

    def __init__(self) -> None:
        self.set_up()

    def set_up(self, latency: float = 0.2, slow_key: str = "", slow_latency: float = 0.0) -> None:
        """Begin a new book and be as slow as that."""
        self.latency, self.slow_key, self.slow_latency = latency, slow_key, slow_latency
        self.book = Book()

    def latency_of(self, key: str) -> float:
        """Return how long the answer takes, in seconds."""
        return self.slow_latency if key == self.slow_key else self.latency

    def tell(self, path: str) -> dict[str, Any]:
        """Return what is asked of the book."""
        answer: dict[str, Any] = {**self.book.progress(), "cpu_seconds": time.process_time()}
        if path == "/book":
            answer.update(self.book.summary(but=self.slow_key))
        return answer


class Connection(asyncio.Protocol):
    """A connection of a client's; it is served one request after another."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._data = shop, b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Serve each request that is complete."""
        self._data += data
        try:
            while request := parse_request(self._data):
                self._data = self._data[request.length :]
                self._serve(request)
        except ValueError:
            self._transport.write(BAD_REQUEST)
            self._transport.close()

    def _serve(self, request: Request) -> None:
        if request.path == "/orders":
            if not request.key:
                raise ValueError("an order needs an Idempotency-Key")
            book = self._shop.book
            book.note_call(request.key, self._loop.time())
            self._loop.call_later(self._shop.latency_of(request.key), self._answer_order, request.key, book)
        elif request.path == "/setup":
            self._shop.set_up(**json.loads(request.body))
            self._answer({})
        else:
            self._answer(self._shop.tell(request.path))

    def _answer_order(self, key: str, book: Book) -> None:
        book.note_answer(key, self._loop.time())
        self._transport.write(CREATED)

    def _answer(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    shop = Shop()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(shop), HOST, port, backlog=BACKLOG)
    print(READY, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
