"""The gifts' vendor, over HTTP: place an order, ask for one. Every answer is checked before it is believed."""

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import Any, Protocol

import httpx

from awards import conf
from awards.errors import VendorFailed, VendorRefused, VendorSilent, VendorUnavailable
from awards.models.ledger import ORDER_NUMBER_LENGTH

ANSWER_LIMIT = 64 * 1024
"""Bytes of an answer that we read."""
BUSY = frozenset({httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
QUOTE_LENGTH = 200


class Record(Protocol):
    """Keeps what was asked of the vendor and what it said; None for an answer that never came."""

    def __call__(self, *, request: object, answer: object) -> None:
        """Keep it. Must not raise."""


def not_recorded(*, request: object, answer: object) -> None:
    """Keep nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What we want from the vendor: the same words at every try, under the same idempotency key."""

    idempotency_key: str
    sku: str
    recipient: str
    award: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the vendor says it has taken."""

    number: str
    sku: str
    award: str

    def fulfils(self, request: OrderRequest) -> bool:
        """Tell whether this is the order that was asked for."""
        return self.sku == request.sku and self.award == request.award


class KeyTaken(VendorRefused):
    """The vendor holds an order with other data under our idempotency key. Ask which one; do not retry."""


def place_order(request: OrderRequest, *, record: Record = not_recorded) -> Order:
    """Order what is asked for.

    Raises ``VendorRefused`` (``KeyTaken`` for a 409) for good, ``VendorUnavailable`` if the vendor took nothing, and
    ``VendorFailed`` or ``VendorSilent`` if nobody knows.
    """
    body = {"sku": request.sku, "recipient": request.recipient, "award": request.award}
    headers = {"Idempotency-Key": request.idempotency_key}
    status, answer = _call("POST", "/orders", headers=headers, body=body, record=record)
    if status == httpx.codes.CONFLICT:
        raise KeyTaken(f"the vendor has another order under our key {request.idempotency_key}: {_quote(answer)}")
    if 400 <= status < 500:
        raise VendorRefused(f"the vendor refused article {request.sku}: {status} {_quote(answer)}", failure_code=status)
    if status not in (httpx.codes.OK, httpx.codes.CREATED):
        raise VendorFailed(f"the vendor answered {status} {_quote(answer)}", failure_code=status)
    return _parse_order(answer)


def find_order(idempotency_key: str, *, record: Record = not_recorded) -> Order | None:
    """Ask which order the vendor has under ``idempotency_key``; None if it has none. Nothing is ordered.

    Raises ``VendorUnavailable``, ``VendorFailed`` or ``VendorSilent`` if the vendor did not say.
    """
    status, answer = _call("GET", f"/orders/{idempotency_key}", record=record)
    if status == httpx.codes.NOT_FOUND:
        return None
    if status != httpx.codes.OK:
        raise VendorFailed(f"asked about an order, the vendor answered {status} {_quote(answer)}", failure_code=status)
    return _parse_order(answer)


def _call(
    method: str,
    path: str,
    *,
    record: Record,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Send one request and return status and body, and have it recorded whatever comes of it."""
    asked = {"call": f"{method} {path}", **({"body": body} if body else {})}
    heard: object = None
    try:
        status, answer = _send(method, path, headers, body)
        heard = {"status": status, "body": _as_said(answer)}
    finally:
        record(request=asked, answer=heard)
    if status in BUSY:
        raise VendorUnavailable(f"the vendor is busy: {status} {_quote(answer)}")
    if status == httpx.codes.REQUEST_TIMEOUT:
        raise VendorSilent(f"the vendor gave up reading {method} {path}: 408")
    return status, answer


def _send(
    method: str, path: str, headers: Mapping[str, str] | None, body: Mapping[str, str] | None
) -> tuple[int, bytes]:
    """Send one request. No redirect is followed, and no proxy of the environment used."""
    vendor = conf.vendor_settings()
    deadline = monotonic() + vendor.connect_timeout + vendor.timeout
    timeout = httpx.Timeout(vendor.timeout, connect=vendor.connect_timeout, pool=vendor.connect_timeout)
    try:
        with _client().stream(method, vendor.url + path, headers=headers, json=body, timeout=timeout) as response:
            answer = _read_answer(response, deadline)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise VendorUnavailable(f"the vendor cannot be reached: {error}") from error
    except httpx.TransportError as error:
        raise VendorSilent(f"no answer from the vendor to {method} {path}: {error or type(error).__name__}") from error
    except httpx.DecodingError as error:
        raise VendorFailed(f"the vendor's answer cannot be decoded: {error}") from error
    return response.status_code, answer


def _read_answer(response: httpx.Response, deadline: float) -> bytes:
    """Read the body up to the limit, however slowly it drips in."""
    answer = b""
    for chunk in response.iter_bytes():
        answer += chunk
        if len(answer) > ANSWER_LIMIT:
            raise VendorFailed(f"the vendor's answer is longer than {ANSWER_LIMIT} bytes")
        if monotonic() > deadline:
            raise VendorSilent("the vendor's answer took too long")
    return answer


def _parse_order(answer: bytes) -> Order:
    try:
        said: Any = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise VendorFailed(f"the vendor's answer is not JSON: {_quote(answer)}") from error
    match said:
        case {"order_number": str(number), "sku": str(sku), "award": str(award)} if _is_order_number(number):
            return Order(number=number, sku=sku, award=award)
        case _:
            raise VendorFailed(f"the vendor's answer is not an order: {_quote(answer)}")


def _is_order_number(text: str) -> bool:
    return 0 < len(text) <= ORDER_NUMBER_LENGTH and text.isprintable()


def _as_said(answer: bytes) -> Any:
    """Return an answer as JSON where it is that, else as text."""
    text = answer.decode(errors="replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _quote(answer: bytes) -> str:
    """Return the beginning of an answer as one printable line."""
    text = answer[:QUOTE_LENGTH].decode(errors="replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


@cache
def _client() -> httpx.Client:
    """Return the process's own client, whose open connections serve the next order too."""
    return httpx.Client(verify=ssl.create_default_context(), follow_redirects=False, trust_env=False)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_client.cache_clear)
