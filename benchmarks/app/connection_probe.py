"""Which connections to a closed port are attempted, as the kernel sees it: independent of our table and our logs."""

import contextlib
import ctypes
import socket
import struct
import threading
import time

EVERY_PROTOCOL = 3
OUTGOING = 4
"""On the loopback every packet is seen on its way out and on its way in; one of them counts."""
SO_ATTACH_FILTER = 26


def first_packets_to(port: int) -> bytes:
    """Return the kernel's filter (classic BPF) for the packet with which a TCP connection to ``port`` begins."""
    instructions = [
        (0x30, 0, 0, 9),  # the protocol of the IPv4 packet
        (0x15, 0, 7, 6),  # must be TCP
        (0xB1, 0, 0, 0),  # where its header ends
        (0x48, 0, 0, 2),  # the port it goes to
        (0x15, 0, 4, port),
        (0x50, 0, 0, 13),  # of the flags
        (0x54, 0, 0, 0x12),  # SYN and ACK
        (0x15, 0, 1, 0x02),  # must be SYN alone
        (0x06, 0, 0, 0xFFFF),  # take it
        (0x06, 0, 0, 0),  # leave it
    ]
    return b"".join(struct.pack("HBBI", *each) for each in instructions)


class ConnectionProbe:
    """Records when a connection to ``port`` of 127.0.0.1 is attempted. Needs the right to read packets (root)."""

    def __init__(self, port: int) -> None:
        self.attempted_at: list[float] = []
        """When, in seconds since the epoch."""
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        with contextlib.suppress(PermissionError, AttributeError):
            self._thread = threading.Thread(
                target=self._run, args=[_open_packet_socket(port)], name="connection probe", daemon=True
            )
            self._thread.start()

    @property
    def is_available(self) -> bool:
        """Return whether it may read packets."""
        return self._thread is not None

    def stop(self) -> None:
        """Stop recording."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, packets: socket.socket) -> None:
        with packets:
            while not self._stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    _packet, address = packets.recvfrom(1)
                    if address[2] == OUTGOING:
                        self.attempted_at.append(time.time())


def _open_packet_socket(port: int) -> socket.socket:
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    instructions = first_packets_to(port)
    kept = ctypes.create_string_buffer(instructions)
    program = struct.pack("HP", len(instructions) // 8, ctypes.addressof(kept))
    packets.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    packets.bind(("lo", EVERY_PROTOCOL))
    packets.settimeout(0.5)
    return packets
