"""The call that every contestant of the part ``outside`` makes: one order at the vendor's, by HTTP.

All use httpx, with one client for each process and a connection for each call at once. The connections are not those of
httpx's own pool: at fifty calls at once its bookkeeping, which grows with the square of the idle connections, takes six
milliseconds of CPU time a call, four times as long as the call itself, and every contestant would be as slow as that.
"""

import importlib.util
import os
import ssl
import sys
from collections import deque
from functools import cache
from threading import Lock
from typing import Any

import httpx

if importlib.util.find_spec("sniffio") is None:
    # httpcore asks for it several times in a call; what is known to be missing is not searched for each time.
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # how Python is told so

WIDTH = 50
"""Calls at once in a process."""
VENDOR = os.environ.get("BENCH_VENDOR", "")
TIMEOUT_SECONDS = 30.0
ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1)


class Connections(httpx.BaseTransport):
    """Kept connections for plain functions; the one used last is the next to be used, and there is always one more."""

    def __init__(self) -> None:
        self._free: deque[httpx.HTTPTransport] = deque()
        self._ssl = ssl.create_default_context()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request on a free connection and read the whole answer."""
        try:
            connection = self._free.pop()
        except IndexError:
            connection = httpx.HTTPTransport(limits=ONE, verify=self._ssl)
        response = connection.handle_request(request)
        response.read()
        self._free.append(connection)
        return response


class AsyncConnections(httpx.AsyncBaseTransport):
    """The same for an event loop."""

    def __init__(self) -> None:
        self._free: deque[httpx.AsyncHTTPTransport] = deque()
        self._ssl = ssl.create_default_context()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request on a free connection and read the whole answer."""
        try:
            connection = self._free.pop()
        except IndexError:
            connection = httpx.AsyncHTTPTransport(limits=ONE, verify=self._ssl)
        response = await connection.handle_async_request(request)
        await response.aread()
        self._free.append(connection)
        return response


_making = Lock()


def client() -> httpx.Client:
    """Return the client of this process, for plain functions.

    Threads that begin at once must not each make one: fifty take two seconds, most of it for their certificates.
    """
    with _making:
        return _made()


@cache
def _made() -> httpx.Client:
    return httpx.Client(base_url=VENDOR, transport=Connections(), timeout=TIMEOUT_SECONDS)


@cache
def async_client() -> httpx.AsyncClient:
    """Return the client of this process, which has one event loop."""
    return httpx.AsyncClient(base_url=VENDOR, transport=AsyncConnections(), timeout=TIMEOUT_SECONDS)


def order(payload: dict[str, Any]) -> None:
    """Order what the message says."""
    client().post("/orders", json=payload, headers=headers_of(payload)).raise_for_status()


async def order_async(payload: dict[str, Any]) -> None:
    """Order what the message says."""
    answer = await async_client().post("/orders", json=payload, headers=headers_of(payload))
    answer.raise_for_status()


def headers_of(payload: dict[str, Any]) -> dict[str, str]:
    """Return the header by which the vendor knows a call that is repeated."""
    return {"Idempotency-Key": str(payload["award"])}
