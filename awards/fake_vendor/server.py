"""The practice vendor's HTTP interface, on the standard library's threaded server.

``POST /orders``, ``GET /orders/<key>``, ``GET /book``, and ``GET`` or ``POST /control`` for the modes. It is a gateway
for text messages as well: ``POST /messages``, ``GET /messages/<key>``, ``GET /texts``.
"""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import unquote

from awards.fake_vendor.book import Book, KeyReused, RequestedOrder
from awards.fake_vendor.modes import FaultInjector, InjectedFault, Modes

ORDER_BODY_LIMIT = 64 * 1024


class FakeVendor(ThreadingHTTPServer):
    """The server: a book, the modes in force, and how often each fault really happened."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], *, book: Book, modes: Modes, seed: int | None = None) -> None:
        super().__init__(address, RequestHandler)
        self.book = book
        self.modes = modes
        self.fault_injector = FaultInjector(seed)
        self.happened: Counter[str] = Counter()
        self.turns = count()
        self.closing = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The address to call."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def note(self, what: str) -> None:
        """Count something that happened."""
        with self._lock:
            self.happened[what] += 1

    def change(self, changes: dict[str, Any]) -> None:
        """Change some of the modes at once; ``ValueError`` or ``TypeError`` says what is wrong."""
        with self._lock:
            self.modes = self.modes.changed(changes)

    def stop(self) -> None:
        """Stop serving, without waiting for those who are left hanging."""
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that went away; that fault is their own."""


class RequestHandler(BaseHTTPRequestHandler):
    """Serves one connection."""

    server: FakeVendor
    protocol_version = "HTTP/1.1"
    server_version = "PractiseVendor"
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self) -> None:
        """Answer about an order, the book or the modes."""
        match self.path.strip("/").split("/"):
            case ["orders", key]:
                self._serve_with_faults(lambda: self._find(unquote(key)))
            case ["messages", key]:
                self._serve_with_faults(lambda: self._find_text(unquote(key)))
            case ["texts"]:
                self._answer(HTTPStatus.OK, [text.as_json() for text in self.server.book.texts()])
            case ["book"]:
                self._answer(HTTPStatus.OK, [shipped.as_json() for shipped in self.server.book.everything()])
            case ["control"]:
                self._answer(HTTPStatus.OK, self._state())
            case _:
                self._answer(HTTPStatus.NOT_FOUND, {"error": "no such address"})

    def do_POST(self) -> None:
        """Take an order, or new modes."""
        body = self._body()
        if body is None:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": f"a JSON object of at most {ORDER_BODY_LIMIT} bytes"})
        elif self.path == "/orders":
            self._serve_with_faults(lambda: self._order(body))
        elif self.path == "/messages":
            self._serve_with_faults(lambda: self._text(body))
        elif self.path == "/control":
            self._control(body)
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "no such address"})

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal for what matters; ``GET /control`` counts what happened."""

    def _serve_with_faults(self, serve: Callable[[], tuple[HTTPStatus, Any]]) -> None:
        """Serve a request, unless or until its fault comes in between."""
        server, fault = self.server, self.server.fault_injector.next_fault(self.server.modes)
        if server.modes.delay:
            server.closing.wait(server.modes.delay)
        server.note(fault.value)
        match fault:
            case InjectedFault.BUSY:
                busy = [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS][next(server.turns) % 2]
                self._answer(busy, {"error": "busy, come again"}, retry_after=1)
            case InjectedFault.FAIL:
                self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "an error of our own"})
            case InjectedFault.CUT:
                serve()
                self._cut()
            case InjectedFault.HANG:
                answer = serve()
                if server.closing.wait(server.modes.hang_seconds):
                    self._cut()
                else:
                    self._answer(*answer)
            case InjectedFault.NONE:
                self._answer(*serve())

    def _order(self, body: dict[str, Any]) -> tuple[HTTPStatus, Any]:
        key = self.headers.get("Idempotency-Key", "")
        if not 0 < len(key) <= 200:
            return HTTPStatus.BAD_REQUEST, {"error": "Idempotency-Key is missing or too long"}
        match body:
            case {"sku": str(sku), "recipient": str(recipient), "award": str(award)} if sku and recipient and award:
                wanted = RequestedOrder(sku=sku, recipient=recipient, award=award)
            case _:
                return HTTPStatus.BAD_REQUEST, {"error": "sku, recipient and award are texts, and none is empty"}
        if sku in self.server.modes.refuse:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"error": f"article {sku} is not sold any more"}
        try:
            shipped, new = self.server.book.ship(key, wanted, forgetful=self.server.modes.forgetful)
        except KeyReused as error:
            return HTTPStatus.CONFLICT, {"error": str(error)}
        return (HTTPStatus.CREATED if new else HTTPStatus.OK), shipped.as_json()

    def _text(self, body: dict[str, Any]) -> tuple[HTTPStatus, Any]:
        key = self.headers.get("Idempotency-Key", "")
        if not 0 < len(key) <= 200:
            return HTTPStatus.BAD_REQUEST, {"error": "Idempotency-Key is missing or too long"}
        match body:
            case {"to": str(to), "text": str(text), "from": str()} if to and text:
                pass
            case _:
                return HTTPStatus.BAD_REQUEST, {"error": "to, from and text are texts"}
        if to in self.server.modes.refuse:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"error": f"there is nobody at {to}"}
        try:
            sent, new = self.server.book.text(key, to=to, text=text, forgetful=self.server.modes.forgetful)
        except KeyReused as error:
            return HTTPStatus.CONFLICT, {"error": str(error)}
        return (HTTPStatus.CREATED if new else HTTPStatus.OK), sent.as_json()

    def _find_text(self, key: str) -> tuple[HTTPStatus, Any]:
        sent = self.server.book.find_text(key)
        return (HTTPStatus.OK, sent.as_json()) if sent else (HTTPStatus.NOT_FOUND, {"error": "no such message"})

    def _find(self, key: str) -> tuple[HTTPStatus, Any]:
        shipped = self.server.book.find(key)
        return (HTTPStatus.OK, shipped.as_json()) if shipped else (HTTPStatus.NOT_FOUND, {"error": "no such order"})

    def _control(self, body: dict[str, Any]) -> None:
        try:
            self.server.change(body)
        except (TypeError, ValueError) as error:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        else:
            self._answer(HTTPStatus.OK, self._state())

    def _state(self) -> dict[str, Any]:
        return {"modes": self.server.modes.as_json(), "happened": dict(self.server.happened)}

    def _body(self) -> dict[str, Any] | None:
        """Return the JSON object that was sent, or None; what is not read would be taken for the next request."""
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > ORDER_BODY_LIMIT:
            self.close_connection = True
            return None
        try:
            body = json.loads(self.rfile.read(int(size)))
        except (ValueError, RecursionError):
            return None
        return body if isinstance(body, dict) else None

    def _answer(self, status: HTTPStatus, content: Any, *, retry_after: int | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        """End the connection without a word."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
