"""An older RabbitMQ made to refuse queues as 4.3 does: those that are neither durable nor exclusive.

From its release notes: the deprecated feature ``transient_nonexcl_queues`` is denied by default since 4.3, and a
declare of such a queue closes the connection with 541.
"""

import socket
import struct

from tests.harness.proxy import Proxy

METHOD, FRAME_END = 1, b"\xce"
DECLARE, CLOSE = (50, 10), (10, 50)
PASSIVE, DURABLE, EXCLUSIVE = 1, 2, 4
REFUSED = 541
WHY = (
    b"INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated. By default, this feature is not permitted "
    b"anymore."
)


class StrictBroker(Proxy):
    """A proxy that answers such a declare as 4.3 does; ``refused`` holds the names of the queues."""

    def __init__(self, upstream: str) -> None:
        self.refused: list[str] = []
        self._unread: dict[socket.socket, bytes] = {}
        self._closed: set[socket.socket] = set()
        super().__init__(upstream)

    def _let_through(self, reader: socket.socket, data: bytes) -> bytes:
        if data.startswith(b"AMQP"):
            self._unread[reader] = b""
            return data[:8] + self._frames(reader, data[8:])
        return self._frames(reader, data) if reader in self._unread else data

    def _frames(self, client: socket.socket, data: bytes) -> bytes:
        """Return the whole frames among what a client sent, up to the first that is refused."""
        passed = b""
        self._unread[client] += data
        while client not in self._closed and (frame := _first_frame(self._unread[client])):
            self._unread[client] = self._unread[client][len(frame) :]
            if name := _unwanted_queue(frame):
                self.refused.append(name)
                self._closed.add(client)
                client.sendall(_close())
            else:
                passed += frame
        return passed

    def _drop(self, connection: socket.socket) -> None:
        self._unread.pop(connection, None)
        self._closed.discard(connection)
        super()._drop(connection)


def _first_frame(data: bytes) -> bytes:
    if len(data) < 7:
        return b""
    (size,) = struct.unpack_from(">I", data, 3)
    return data[: size + 8] if len(data) >= size + 8 else b""


def _unwanted_queue(frame: bytes) -> str:
    """Return the name of the queue if the frame declares one that is neither durable nor exclusive."""
    if frame[0] != METHOD or struct.unpack_from(">HH", frame, 7) != DECLARE:
        return ""
    length = frame[13]
    bits = frame[14 + length]
    return "" if bits & (PASSIVE | DURABLE | EXCLUSIVE) else frame[14 : 14 + length].decode()


def _close() -> bytes:
    payload = struct.pack(">HHHB", *CLOSE, REFUSED, len(WHY)) + WHY + struct.pack(">HH", *DECLARE)
    return struct.pack(">BHI", METHOD, 0, len(payload)) + payload + FRAME_END
