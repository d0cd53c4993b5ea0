"""Text messages to winners, by a gateway over HTTP, and never twice for one message.

What makes it safe is one idempotency key per message, and that the gateway is asked first whenever it may already have
sent it. ``docs/pages/promotions.md`` has the two calls that a gateway must know.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

import httpx
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from awards import conf
from awards.channels import calls
from awards.conf import SmsSettings
from awards.errors import CallError, CallFailed, CallRefused, Unanswered, Unreachable
from awards.models import Award

WHO = "the SMS gateway"
NUMBER_LENGTH = 100


class Record(Protocol):
    """Keeps what was asked of the gateway and what it said; None for an answer that never came."""

    def __call__(self, *, request: object, answer: object) -> None:
        """Keep it. Must not raise."""


def not_recorded(*, request: object, answer: object) -> None:
    """Keep nothing."""


def text_winner(
    award: Award,
    number: str,
    *,
    idempotency_key: str,
    language: str,
    ask_first: bool,
    record: Record = not_recorded,
) -> str:
    """Have the winner of ``award`` texted at ``number``, and return the gateway's own number of the message.

    ``ask_first`` says that an earlier try may have reached the gateway. Raises ``CallRefused`` when the gateway says
    no for good, ``Unreachable`` when it is down or busy, and ``CallFailed`` or ``Unanswered`` when nobody knows; then
    the next try must ask. No error has the number.
    """
    gateway = conf.sms_settings()
    if gateway is None:
        raise ImproperlyConfigured("SMS_URL is not set any more")
    with translation.override(language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE):
        body = {"to": number, "from": gateway.sender, "text": _compose(award)}
    try:
        found = _find(gateway, idempotency_key, record) if ask_first else None
        return found or _send_once(gateway, idempotency_key, body, record)
    except CallError as error:
        error.args = (str(error).replace(number, "…").replace(number.removeprefix("+"), "…"),)
        raise


def _compose(award: Award) -> str:
    prize = {"prize": award.prize.name}
    said = _("You have won: %(prize)s.") % prize
    if award.is_unclaimed:
        said = _("You have won: %(prize)s. Tell us where to send it.") % prize
    page = conf.site_url() and conf.site_url() + reverse("awards:draw", args=[award.draw.public_id])
    return f"{said} {page}".strip()


def _send_once(gateway: SmsSettings, key: str, body: Mapping[str, str], record: Record) -> str:
    """Have it sent; if the gateway falls silent or knows the key, ask at once what it has."""
    try:
        return _send(gateway, key, body, record)
    except (Unanswered, KeyTaken) as problem:
        try:
            found = _find(gateway, key, record)
        except CallError:
            raise problem from None
        if found is None:
            raise
        return found


class KeyTaken(CallRefused):
    """The gateway holds another message under our idempotency key, or is sending this one just now: ask which."""


def _send(gateway: SmsSettings, key: str, body: Mapping[str, str], record: Record) -> str:
    status, answer = _call(gateway, "POST", "/messages", record, key=key, body=body)
    if status == httpx.codes.CONFLICT:
        raise KeyTaken(f"{WHO} has another message under our key {key}")
    if 400 <= status < 500:
        raise CallRefused(f"{WHO} refused it: {status} {calls.quote(answer)}", failure_code=status)
    if status not in (httpx.codes.OK, httpx.codes.CREATED, httpx.codes.ACCEPTED):
        raise CallFailed(f"{WHO} answered {status} {calls.quote(answer)}", failure_code=status)
    return _number(answer)


def _find(gateway: SmsSettings, key: str, record: Record) -> str | None:
    status, answer = _call(gateway, "GET", f"/messages/{key}", record)
    if status == httpx.codes.NOT_FOUND:
        return None
    if status != httpx.codes.OK:
        raise CallFailed(f"asked about a message, {WHO} answered {status}", failure_code=status)
    return _number(answer)


def _call(
    gateway: SmsSettings,
    method: str,
    path: str,
    record: Record,
    *,
    key: str = "",
    body: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Send one request and return status and body, and have it recorded whatever comes of it."""
    headers = {"Authorization": f"Bearer {gateway.token}"} if gateway.token else {}
    if body is not None:
        headers |= {"Content-Type": "application/json", "Idempotency-Key": key}
    heard: object = None
    try:
        status, answer = calls.send(
            method,
            gateway.url + path,
            who=WHO,
            timeouts=gateway.timeouts,
            headers=headers,
            content=None if body is None else json.dumps(body).encode(),
        )
        heard = {"status": status, "body": answer.decode(errors="replace")}
    finally:
        record(request={"call": f"{method} {path}", **({"body": dict(body)} if body else {})}, answer=heard)
    if status in calls.BUSY:
        raise Unreachable(f"{WHO} is busy: {status}")
    if status == httpx.codes.REQUEST_TIMEOUT:
        raise Unanswered(f"{WHO} gave up reading {method} {path}: 408")
    return status, answer


def _number(answer: bytes) -> str:
    """Return the gateway's number of a message; what is no answer of its kind is not believed."""
    try:
        said: Any = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise CallFailed(f"{WHO}'s answer is not JSON: {calls.quote(answer)}") from error
    match said:
        case {"id": str(number)} if 0 < len(number) <= NUMBER_LENGTH and number.isprintable():
            return number
        case _:
            raise CallFailed(f"{WHO}'s answer is no message: {calls.quote(answer)}")
