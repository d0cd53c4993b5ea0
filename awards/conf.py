"""The settings of the awards, read from Django's with a default each."""

from dataclasses import dataclass
from datetime import timedelta

import httpx
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True, slots=True)
class VendorSettings:
    """Where the gifts' vendor is, and how long we wait for it."""

    url: str
    connect_timeout: float
    timeout: float

    @property
    def longest_call(self) -> timedelta:
        """How long one call may take at most, whatever the vendor does."""
        return timedelta(seconds=self.connect_timeout + self.timeout)


def vendor_settings() -> VendorSettings:
    """Return the vendor's settings; ``ImproperlyConfigured`` says which of them is wrong.

    ``VENDOR_URL`` is the vendor's base address, whose host must be one of ``VENDOR_ALLOWED_HOSTS``;
    ``VENDOR_CONNECT_TIMEOUT`` and ``VENDOR_TIMEOUT`` are seconds for connecting and for the whole answer.
    """
    url = str(getattr(settings, "VENDOR_URL", "http://127.0.0.1:8900")).rstrip("/")
    allowed = list(getattr(settings, "VENDOR_ALLOWED_HOSTS", ["127.0.0.1", "localhost"]))
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ImproperlyConfigured(f"VENDOR_URL {url!r} is not an address: {error}") from error
    if address.scheme not in ("http", "https") or not address.host or address.userinfo:
        raise ImproperlyConfigured(f"VENDOR_URL {url!r} must be http://host or https://host, without a password")
    if address.host not in allowed:
        raise ImproperlyConfigured(f"VENDOR_URL {url!r}: its host is not in VENDOR_ALLOWED_HOSTS ({allowed})")
    return VendorSettings(url, _seconds("VENDOR_CONNECT_TIMEOUT", default=2.0), _seconds("VENDOR_TIMEOUT", default=5.0))


def site_url() -> str:
    """Return ``SITE_URL``, the address under which people reach the public pages, without a slash; empty if not set.

    ``ImproperlyConfigured`` says what is wrong with it.
    """
    url = str(getattr(settings, "SITE_URL", "")).rstrip("/")
    if url and not url.startswith(("http://", "https://")):
        raise ImproperlyConfigured(f"SITE_URL {url!r} must be http://host or https://host")
    return url


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
