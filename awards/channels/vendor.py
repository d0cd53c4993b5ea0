"""The gifts' vendor, over HTTP: place an order, ask for one. Every answer is checked before it is believed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from awards import conf
from awards.channels import calls
from awards.channels.calls import BUSY, quote
from awards.errors import (
    CallFailed,
    Unanswered,
    Unreachable,
    VendorFailed,
    VendorRefused,
    VendorSilent,
    VendorUnavailable,
)
from awards.models.ledger import ORDER_NUMBER_LENGTH


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
        raise KeyTaken(f"the vendor has another order under our key {request.idempotency_key}: {quote(answer)}")
    if 400 <= status < 500:
        raise VendorRefused(f"the vendor refused article {request.sku}: {status} {quote(answer)}", failure_code=status)
    if status not in (httpx.codes.OK, httpx.codes.CREATED):
        raise VendorFailed(f"the vendor answered {status} {quote(answer)}", failure_code=status)
    return _parse_order(answer)


def find_order(idempotency_key: str, *, record: Record = not_recorded) -> Order | None:
    """Ask which order the vendor has under ``idempotency_key``; None if it has none. Nothing is ordered.

    Raises ``VendorUnavailable``, ``VendorFailed`` or ``VendorSilent`` if the vendor did not say.
    """
    status, answer = _call("GET", f"/orders/{idempotency_key}", record=record)
    if status == httpx.codes.NOT_FOUND:
        return None
    if status != httpx.codes.OK:
        raise VendorFailed(f"asked about an order, the vendor answered {status} {quote(answer)}", failure_code=status)
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
        raise VendorUnavailable(f"the vendor is busy: {status} {quote(answer)}")
    if status == httpx.codes.REQUEST_TIMEOUT:
        raise VendorSilent(f"the vendor gave up reading {method} {path}: 408")
    return status, answer


def _send(
    method: str, path: str, headers: Mapping[str, str] | None, body: Mapping[str, str] | None
) -> tuple[int, bytes]:
    """Send one request, and say in the vendor's own errors how it ended otherwise."""
    vendor = conf.vendor_settings()
    content = None if body is None else json.dumps(body).encode()
    typed = {**(headers or {}), **({} if body is None else {"Content-Type": "application/json"})}
    try:
        return calls.send(
            method, vendor.url + path, who="the vendor", timeouts=vendor.timeouts, headers=typed, content=content
        )
    except Unreachable as error:
        raise VendorUnavailable(str(error)) from error
    except Unanswered as error:
        raise VendorSilent(str(error)) from error
    except CallFailed as error:
        raise VendorFailed(str(error)) from error


def _parse_order(answer: bytes) -> Order:
    try:
        said: Any = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise VendorFailed(f"the vendor's answer is not JSON: {quote(answer)}") from error
    match said:
        case {"order_number": str(number), "sku": str(sku), "award": str(award)} if _is_order_number(number):
            return Order(number=number, sku=sku, award=award)
        case _:
            raise VendorFailed(f"the vendor's answer is not an order: {quote(answer)}")


def _is_order_number(text: str) -> bool:
    return 0 < len(text) <= ORDER_NUMBER_LENGTH and text.isprintable()


def _as_said(answer: bytes) -> Any:
    """Return an answer as JSON where it is that, else as text."""
    text = answer.decode(errors="replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
