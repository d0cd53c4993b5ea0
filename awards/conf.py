"""The settings of the awards, read from Django's with a default each."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, cast

import httpx
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from awards.errors import BadAddress

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class RiskCheck(Protocol):
    """A project's own check of a draw: it returns a code such as ``too_fast`` to refuse it, or nothing."""

    def __call__(self, *, campaign: str, person: str, address: str, client: str) -> str | None:
        """Judge a draw by the campaign's address, who draws, from where, and by which client; empty if by none."""
        ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that we wait: for connecting, and for the whole answer."""

    connect: float
    answer: float

    @property
    def longest_call(self) -> timedelta:
        """How long one call may take at most, whatever the other side does."""
        return timedelta(seconds=self.connect + self.answer)


@dataclass(frozen=True, slots=True)
class VendorSettings:
    """Where the gifts' vendor is, and how long we wait for it."""

    url: str
    timeouts: Timeouts


@dataclass(frozen=True, slots=True)
class SmsSettings:
    """Where the gateway for text messages is, how we show who we are, whose name they bear, and how long we wait."""

    url: str
    token: str
    sender: str
    timeouts: Timeouts


def vendor_settings() -> VendorSettings:
    """Return the vendor's settings; ``ImproperlyConfigured`` says which of them is wrong.

    ``VENDOR_URL`` is the vendor's base address, whose host must be one of ``VENDOR_ALLOWED_HOSTS``;
    ``VENDOR_CONNECT_TIMEOUT`` and ``VENDOR_TIMEOUT`` are seconds for connecting and for the whole answer.
    """
    url = _base_address(
        "VENDOR_URL", "VENDOR_ALLOWED_HOSTS", default="http://127.0.0.1:8900", hosts=["127.0.0.1", "localhost"]
    )
    return VendorSettings(url, _timeouts("VENDOR_CONNECT_TIMEOUT", "VENDOR_TIMEOUT"))


def sms_settings() -> SmsSettings | None:
    """Return the settings of the gateway for text messages, None if ``SMS_URL`` is not set: then nobody gets one.

    ``SMS_URL``, ``SMS_ALLOWED_HOSTS``, ``SMS_CONNECT_TIMEOUT`` and ``SMS_TIMEOUT`` are as the vendor's; ``SMS_TOKEN``
    goes into the header Authorization, and ``SMS_SENDER`` is whom the messages come from. ``ImproperlyConfigured`` says
    which of them is wrong.
    """
    if not getattr(settings, "SMS_URL", ""):
        return None
    url = _base_address("SMS_URL", "SMS_ALLOWED_HOSTS", default="", hosts=[])
    token, sender = str(getattr(settings, "SMS_TOKEN", "")), str(getattr(settings, "SMS_SENDER", ""))
    if not token.isascii() or not token.isprintable():
        raise ImproperlyConfigured("SMS_TOKEN must be printable ASCII")
    return SmsSettings(url, token, sender, sms_timeouts())


def sms_timeouts() -> Timeouts:
    """Return ``SMS_CONNECT_TIMEOUT`` and ``SMS_TIMEOUT``; ``ImproperlyConfigured`` says which is wrong."""
    return _timeouts("SMS_CONNECT_TIMEOUT", "SMS_TIMEOUT")


def webhook_hosts() -> list[str]:
    """Return ``WEBHOOK_ALLOWED_HOSTS``: where clients may be told of awards. Without one nobody is told."""
    return [str(host).lower() for host in getattr(settings, "WEBHOOK_ALLOWED_HOSTS", [])]


def webhook_timeouts() -> Timeouts:
    """Return ``WEBHOOK_CONNECT_TIMEOUT`` and ``WEBHOOK_TIMEOUT``; ``ImproperlyConfigured`` says which is wrong."""
    return _timeouts("WEBHOOK_CONNECT_TIMEOUT", "WEBHOOK_TIMEOUT")


def check_webhook_address(address: str) -> None:
    """Raise ``BadAddress`` for an address at which no client may be told.

    Its host must be one of ``WEBHOOK_ALLOWED_HOSTS``, as whoever enters one could have us call what only we can reach;
    and all but this machine are called by HTTPS.
    """
    url = check_address(address, hosts=webhook_hosts())
    if url.scheme != "https" and url.host not in LOOPBACK:
        raise BadAddress("plain", f"{address!r} must begin with https://")


def check_address(address: str, *, hosts: Collection[str]) -> httpx.URL:
    """Return an address that may be called, or raise ``BadAddress``."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise BadAddress("malformed", f"{address!r} is not an address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise BadAddress("malformed", f"{address!r} must be http://host or https://host, without a password")
    if url.userinfo:
        raise BadAddress("password", f"{address!r} must be http://host or https://host, without a password")
    if url.host not in hosts:
        raise BadAddress("host", f"{address!r}: its host is not allowed")
    return url


def _base_address(name: str, hosts_name: str, *, default: str, hosts: list[str]) -> str:
    url, allowed = str(getattr(settings, name, default)).rstrip("/"), list(getattr(settings, hosts_name, hosts))
    try:
        check_address(url, hosts=allowed)
    except BadAddress as error:
        said = f"{url!r}: its host is not in {hosts_name} ({allowed})" if error.fault == "host" else str(error)
        raise ImproperlyConfigured(f"{name} {said}") from error
    return url


def _timeouts(connect: str, answer: str) -> Timeouts:
    return Timeouts(_seconds(connect, default=2.0), _seconds(answer, default=5.0))


def site_url() -> str:
    """Return ``SITE_URL``, the address under which people reach the public pages, without a slash; empty if not set.

    ``ImproperlyConfigured`` says what is wrong with it.
    """
    url = str(getattr(settings, "SITE_URL", "")).rstrip("/")
    if url and not url.startswith(("http://", "https://")):
        raise ImproperlyConfigured(f"SITE_URL {url!r} must be http://host or https://host")
    return url


def has_redis() -> bool:
    """Tell whether ``OUTBOX["REDIS_URL"]`` names a Redis for flash sales."""
    return bool(settings.OUTBOX.get("REDIS_URL"))


def person_field() -> str:
    """Return ``PERSON_FIELD``: by which field of an account somebody who is signed in draws; ``username`` if not set.

    It must be one that only its owner can have, as nobody else's draws may be drawn by it. ``ImproperlyConfigured``
    says what is wrong with it.
    """
    name = str(getattr(settings, "PERSON_FIELD", "username"))
    if not name.isidentifier():
        raise ImproperlyConfigured(f"PERSON_FIELD {name!r} must be a field of the user, such as username or email")
    return name


def risk_check() -> RiskCheck | None:
    """Return the function that ``RISK_CHECK`` names, which may refuse draws; None if none is named.

    ``ImproperlyConfigured`` says what is wrong with it.
    """
    path = str(getattr(settings, "RISK_CHECK", ""))
    if not path:
        return None
    try:
        check = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"RISK_CHECK {path!r} cannot be imported: {error}") from error
    if not callable(check):
        raise ImproperlyConfigured(f"RISK_CHECK {path!r} is not a function")
    return cast("RiskCheck", check)


def currency() -> str:
    """Return ``CURRENCY``, what the value of gifts and coupons is given in; EUR if not set.

    ``ImproperlyConfigured`` says what is wrong with it.
    """
    name = str(getattr(settings, "CURRENCY", "EUR"))
    if not name.isalnum() or len(name) > 8:
        raise ImproperlyConfigured(f"CURRENCY {name!r}: 1 to 8 letters or digits, such as EUR")
    return name


def _seconds(name: str, *, default: float) -> float:
    value = getattr(settings, name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 60:
        raise ImproperlyConfigured(f"{name} {value!r}: seconds, more than 0 and at most 60")
    return float(value)
