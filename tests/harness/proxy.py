"""A small TCP proxy of our own between a client and the broker, which can be frozen, cut, or mute from the start."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select

PIECE = 65_536


class Proxy:
    """Forwards bytes both ways while it is not frozen; ``accepted`` counts the connections."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._over = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def freeze(self) -> None:
        """Forward nothing from now on, in either direction; connections stay open."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Forward again, what has piled up first."""
        self._flowing.set()

    def cut(self) -> None:
        """Close every connection at once; new ones are accepted."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it all."""
        self._over.set()
        self._flowing.set()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            pair = near, socket.create_connection(self._target)
            self._pairs.append(pair)
            threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        with near, far, suppress(OSError):
            while True:
                for ready in select([near, far], [], [])[0]:
                    piece = ready.recv(PIECE)
                    self._flowing.wait()
                    if not piece:
                        return
                    other[ready].sendall(piece)


@contextmanager
def proxy_to(host: str, port: int) -> Iterator[Proxy]:
    """Run a proxy while the block runs."""
    proxy = Proxy((host, port))
    try:
        yield proxy
    finally:
        proxy.close()


@contextmanager
def mute_port() -> Iterator[int]:
    """Listen on a port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def refused_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
