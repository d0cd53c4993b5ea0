"""One HTTP call to another system: bounded in time and size, without redirects and proxies."""

import os
import ssl
from collections.abc import Mapping
from functools import cache
from time import monotonic

import httpx

from awards.conf import Timeouts
from awards.errors import CallFailed, Unanswered, Unreachable

ANSWER_LIMIT = 64 * 1024
"""Bytes of an answer that we read."""
BUSY = frozenset({httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
QUOTE_LENGTH = 200


def send(
    method: str,
    url: str,
    *,
    who: str,
    timeouts: Timeouts,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> tuple[int, bytes]:
    """Send one request and return status and body. No redirect is followed, and no proxy of the environment used.

    ``who`` is what errors call the other side; they name the path, and neither host nor query. Raises ``Unreachable``
    if nothing was taken, ``Unanswered`` and ``CallFailed`` if nobody knows.
    """
    deadline = monotonic() + timeouts.connect + timeouts.answer
    timeout = httpx.Timeout(timeouts.answer, connect=timeouts.connect, pool=timeouts.connect)
    try:
        with _client().stream(method, url, headers=headers, content=content, timeout=timeout) as response:
            answer = _read_answer(response, who, deadline)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Unreachable(f"{who} cannot be reached: {error}") from error
    except httpx.TransportError as error:
        path = httpx.URL(url).path
        raise Unanswered(f"no answer from {who} to {method} {path}: {error or type(error).__name__}") from error
    except httpx.DecodingError as error:
        raise CallFailed(f"{who}'s answer cannot be decoded: {error}") from error
    return response.status_code, answer


def quote(answer: bytes) -> str:
    """Return the beginning of an answer as one printable line."""
    text = answer[:QUOTE_LENGTH].decode(errors="replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _read_answer(response: httpx.Response, who: str, deadline: float) -> bytes:
    """Read the body up to the limit, however slowly it drips in."""
    answer = b""
    for chunk in response.iter_bytes():
        answer += chunk
        if len(answer) > ANSWER_LIMIT:
            raise CallFailed(f"{who}'s answer is longer than {ANSWER_LIMIT} bytes")
        if monotonic() > deadline:
            raise Unanswered(f"{who}'s answer took too long")
    return answer


@cache
def _client() -> httpx.Client:
    """Return the process's own client, whose open connections serve the next call too."""
    return httpx.Client(verify=ssl.create_default_context(), follow_redirects=False, trust_env=False)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_client.cache_clear)
