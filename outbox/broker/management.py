"""Asking RabbitMQ's management API, which knows more of the broker than AMQP tells: one question, one short answer.

Whatever listens there may be slow, may send without an end, or may be something else altogether. So each question has
a deadline that ends the connection, an answer has a size, no redirect is followed, and no proxy sees the password.
"""

import json
import ssl
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from socket import SHUT_RDWR, socket
from threading import Timer
from time import monotonic
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from kombu import Connection
from kombu.transport.pyamqp import SSLTransport

PLAIN_PORT, TLS_PORT = 15672, 15671
SECONDS = 2.0
"""Seconds that a question may take, from connecting to the end of the answer."""
BYTES = 4 * 1024 * 1024
"""Bytes of an answer at most; a page of 500 queues has a tenth of that."""
NOT_ASKED = "off"
"""The setting with which nobody asks."""
SAID = 120
"""Characters of an error that are kept."""
TOO_SLOW = f"no whole answer within {SECONDS:g} s"


class ManagementSilent(Exception):
    """The management API gave no answer that is of use. It is no trouble for messages, and the next look asks again."""


@dataclass(frozen=True, slots=True)
class Management:
    """Where the management API is, and as whom it is asked. The password is in no text of ours."""

    scheme: str
    host: str
    port: int
    path: str
    user: str
    password: str = field(repr=False)
    authorities: str | None = None

    @property
    def address(self) -> str:
        """The address for people, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    def ask(self, question: str) -> Any:
        """Return what the API answers to GET ``question``; raises ``ManagementSilent``."""
        connection = self._connection()
        # The socket is handed over, as the connection lets go of it once the answer has begun.
        sockets: list[socket] = []
        late = Timer(SECONDS, _cut, (sockets,))
        late.daemon, late.name = True, "outbox.management"
        since = monotonic()
        late.start()
        try:
            connection.connect()
            sockets.append(connection.sock)
            connection.request("GET", f"{self.path}/api/{question}", headers=self._headers())
            answer = connection.getresponse()
            body = answer.read(BYTES + 1)
        except (OSError, HTTPException, ValueError) as error:
            raise ManagementSilent(TOO_SLOW if monotonic() - since >= SECONDS else repr(error)[:SAID]) from error
        finally:
            late.cancel()
            connection.close()
        # By the clock: a timer says that it has run out only after it has cut the connection, and that is too late.
        if monotonic() - since >= SECONDS:
            raise ManagementSilent(TOO_SLOW)
        match answer.status:
            case 200:
                return _decoded(body)
            case 401 | 403:
                raise ManagementSilent(f'{answer.status}: "{self.user}" needs the tag "monitoring"')
            case status:
                raise ManagementSilent(f"{status} {answer.reason}"[:SAID])

    def _headers(self) -> dict[str, str]:
        token = b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {token}", "Accept": "application/json", "Connection": "close"}

    def _connection(self) -> HTTPConnection:
        if self.scheme != "https":
            return HTTPConnection(self.host, self.port, timeout=SECONDS)
        try:
            context = ssl.create_default_context(cafile=self.authorities)
        except OSError as error:
            raise ManagementSilent(f"{self.authorities}: {error.strerror}"[:SAID]) from error
        return HTTPSConnection(self.host, self.port, timeout=SECONDS, context=context)


def management_of(setting: str, broker: Connection) -> Management | None:
    """Return where ``BROKER_MANAGEMENT`` says that the API is, or where it is by default; None where nobody asks.

    By default it is on the host of the broker, with the broker's user and password. A broker that is reached by TLS is
    asked by TLS: the password never travels less hidden than the broker's own.
    """
    if setting == NOT_ASKED:
        return None
    tls = broker.ssl if isinstance(broker.ssl, Mapping) else {}
    is_tls = bool(broker.ssl) or isinstance(broker.transport, SSLTransport)
    given = urlsplit(setting or f"{'https' if is_tls else 'http'}://{_bracketed(broker.hostname or 'localhost')}")
    user, password = broker.userid or "guest", broker.password or "guest"
    if given.username is not None:
        user, password = unquote(given.username), unquote(given.password or "")
    return Management(
        scheme=given.scheme,
        host=given.hostname or "localhost",
        port=given.port or (TLS_PORT if given.scheme == "https" else PLAIN_PORT),
        path=given.path.rstrip("/"),
        user=user,
        password=password,
        authorities=tls.get("ca_certs"),
    )


def in_path(name: str) -> str:
    """Return a name as a part of a path, such as a vhost's: ``/`` is ``%2F``."""
    return quote(name, safe="")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _cut(sockets: list[socket]) -> None:
    """End a connection under whoever reads from it; one that is not open yet has a time limit of its own."""
    for one in sockets:
        with suppress(OSError):  # it has ended by itself
            one.shutdown(SHUT_RDWR)


def _decoded(body: bytes) -> Any:
    if len(body) > BYTES:
        raise ManagementSilent(f"its answer has more than {BYTES:,} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ManagementSilent("what answers there speaks no JSON") from error
