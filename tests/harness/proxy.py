"""A TCP proxy in front of the broker, or a database, that can be cut, frozen, or made to accept and never answer."""

import contextlib
import selectors
import socket
import threading
from collections import Counter
from urllib.parse import urlsplit, urlunsplit

OPEN, REFUSING, MUTE, FROZEN = "open", "refusing", "mute", "frozen"
CHUNK = 65_536


class Proxy:
    """Forwards connections to ``upstream``; ``accepted`` counts new ones by state.

    ``refusing`` cuts all connections and takes no new ones; ``mute`` cuts all and accepts new ones without a word;
    ``frozen`` keeps all connections and moves no byte, neither on them nor on new ones.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self._state = OPEN
        self._lock = threading.Lock()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._unanswered: list[socket.socket] = []
        self.accepted: Counter[str] = Counter()
        self._listener: socket.socket | None = None
        self.port = self._listen(0)
        self._selector_changed, self._wake = socket.socketpair()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The broker's address as it is seen through the proxy."""
        user, at, _host = self._upstream.netloc.rpartition("@")
        return urlunsplit(self._upstream._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    def become(self, state: str) -> None:
        """Change the state, with what that does to the connections there are."""
        with self._lock:
            self._state = state
            if state in (REFUSING, MUTE):
                self._drop_all()
            if state == REFUSING and self._listener is not None:
                self._listener.close()
                self._listener = None
            elif state != REFUSING and self._listener is None:
                self._listen(self.port)
            if state == OPEN:
                for connection in self._unanswered:
                    connection.close()
                self._unanswered.clear()
        self._wake.send(b"!")

    def cut(self) -> None:
        """Cut all connections there are; new ones are taken as before."""
        with self._lock:
            self._drop_all()

    def lead_to(self, upstream: str) -> None:
        """Cut all connections there are, and lead new ones to another place."""
        with self._lock:
            self._upstream = urlsplit(upstream)
            self._drop_all()

    def forget(self) -> None:
        """Move no byte any more on the connections there are and tell nobody; new ones are taken as before."""
        with self._lock:
            self._unanswered += self._pairs
            self._pairs.clear()
        self._wake.send(b"!")

    def close(self) -> None:
        """End it all."""
        self._ended = True
        self.become(REFUSING)
        self._thread.join(5)
        for connection in (*self._unanswered, self._wake, self._selector_changed):
            connection.close()

    def _listen(self, port: int) -> int:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        self._listener = listener
        return int(listener.getsockname()[1])

    def _run(self) -> None:
        while not self._ended:
            with self._lock:
                readers = [self._selector_changed]
                if self._listener is not None:
                    readers.append(self._listener)
                if self._state == OPEN:
                    readers += self._pairs
                with selectors.DefaultSelector() as selector:
                    for reader in readers:
                        selector.register(reader, selectors.EVENT_READ, reader)
                    self._lock.release()
                    try:
                        ready = [key.data for key, _events in selector.select(1)]
                    finally:
                        self._lock.acquire()
                for reader in ready:
                    self._serve(reader)

    def _serve(self, reader: socket.socket) -> None:
        if reader is self._selector_changed:
            reader.recv(CHUNK)
        elif reader is self._listener:
            self._accept(reader)
        elif self._state == OPEN and reader in self._pairs:
            self._forward(reader)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _address = listener.accept()
            self.accepted[self._state] += 1
            if self._state != OPEN:
                self._unanswered.append(connection)
                return
            broker = socket.create_connection((self._upstream.hostname, self._upstream.port or 5672), 5)
            for end in (connection, broker):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs[connection], self._pairs[broker] = broker, connection

    def _forward(self, reader: socket.socket) -> None:
        try:
            data = reader.recv(CHUNK)
            if data:
                self._pairs[reader].sendall(self._let_through(reader, data))
                return
        except OSError:
            pass
        self._drop(reader)

    def _let_through(self, reader: socket.socket, data: bytes) -> bytes:  # for those who look inside
        """Return what is to be passed on of what came from ``reader``."""
        return data

    def _drop_all(self) -> None:
        for connection in list(self._pairs):
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        other = self._pairs.pop(connection, None)
        for end in (connection, other):
            if end is not None:
                self._pairs.pop(end, None)
                end.close()
