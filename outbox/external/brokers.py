"""The brokers that are forwarded to and received from: Celery's own, and those that ``OUTBOX["BROKERS"]`` names.

A broker there is an address, or several with ``;`` between them of which the first that answers is taken, or a dict of
``URL`` and ``SSL``, which has the options of Celery's ``broker_use_ssl``. By ``amqps`` the server must show a valid
certificate for its name.
"""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kombu import Connection
from kombu.utils.url import parse_url

from outbox.broker.queues import celery_app
from outbox.conf import conf

OURS = "Celery's broker"


def is_known(broker: str) -> bool:
    """Tell whether a forward may name this broker; empty is Celery's."""
    return not broker or broker in conf().brokers


def name_of(broker: str) -> str:
    """Return a broker's name as operators know it."""
    return f"the broker {broker}" if broker else OURS


def setting_of(broker: str) -> str:
    """Return where a broker's address stands; empty for Celery's."""
    return f'OUTBOX["BROKERS"]["{broker}"]' if broker else ""


def connections_to_send(broker: str, *, on_blocked: Callable[[str], None]) -> Iterator[Connection]:
    """Yield a connection for sending, not opened yet, for each address of the broker, in their order."""
    # With the host's confirm_publish, kombu would wait for each confirm itself and take ours away.
    how = {"confirm_publish": False, "on_blocked": on_blocked}
    yield from _connections(broker, celery_app().connection_for_write, heartbeat=0, transport_options=how)


def connections_to_receive(broker: str, *, heartbeat: int) -> Iterator[Connection]:
    """Yield a connection for receiving, not opened yet, for each address of the broker, in their order."""
    yield from _connections(broker, celery_app().connection_for_read, heartbeat=heartbeat)


def _connections(broker: str, celery_s_own: Callable[..., Connection], **options: Any) -> Iterator[Connection]:
    options["connect_timeout"] = conf().connect_timeout.total_seconds()
    if not broker:
        addresses: Sequence[str | None] = celery_s_own().alt or [None]
        for address in addresses:
            yield celery_s_own(url=address, **options)
        return
    for address, tls in addresses_of(conf().brokers[broker]):
        yield Connection(address, ssl=tls, **options)


def addresses_of(setting: object) -> list[tuple[str, Any]]:
    """Return each address of a broker's setting with what TLS is to be like there: False for none."""
    urls, given = _parts_of(setting)
    return [(url, _tls_for(url, given)) for url in urls]


def _parts_of(setting: object) -> tuple[Sequence[str], Mapping[str, Any] | bool | None]:
    url, given = setting, None
    if isinstance(setting, Mapping):
        url, given = setting["URL"], setting.get("SSL")
    return [part.strip() for part in str(url).split(";") if part.strip()], given


def _tls_for(url: str, given: Mapping[str, Any] | bool | None) -> Any:
    """Return the options of TLS; by default the certificate is verified, and is for the name of the address."""
    if given is False or (given is None and not url.startswith("amqps:")):
        return False
    options = dict(given) if isinstance(given, Mapping) else {}
    options.setdefault("cert_reqs", ssl.CERT_REQUIRED)
    if options["cert_reqs"] != ssl.CERT_NONE:
        options.setdefault("server_hostname", parse_url(url)["hostname"])
    return options
