"""From where a request came, as the audit keeps it."""

from django.http import HttpRequest

from outbox.conf import conf


def origin_of(request: HttpRequest) -> str:
    """Return the address the request came from, as the server saw it, or as our own outermost proxy did.

    Of ``X-Forwarded-For`` only what our proxies wrote can be believed: each adds the address it was called from at the
    end, and what stands before that may be forged.
    """
    addresses = [str(request.META.get("REMOTE_ADDR", ""))]
    if conf().proxies:
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")
        addresses = [*(address.strip() for address in forwarded if address.strip()), *addresses]
    return addresses[max(len(addresses) - 1 - conf().proxies, 0)]
