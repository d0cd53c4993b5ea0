"""Starting the vendor and talking to it, for whoever measures."""

import contextlib
import http.client
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.vendor.server import HOST, READY
from tests.harness.program import Program

TIMEOUT_SECONDS = 30


class Vendor:
    """The vendor, seen from the one who measures."""

    def __init__(self, port: int) -> None:
        self.url = f"http://{HOST}:{port}"
        self._connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)

    def set_up(self, *, latency: float, slow_key: str = "", slow_latency: float = 0.0) -> None:
        """Have it begin a new book, and be as slow as that from now on."""
        self._ask("POST", "/setup", {"latency": latency, "slow_key": slow_key, "slow_latency": slow_latency})

    def progress(self) -> dict[str, Any]:
        """Return how many calls there were, how many are answered, and the seconds of CPU time of the vendor."""
        return self._ask("GET", "/progress")

    def book(self) -> dict[str, Any]:
        """Return what the book says of all keys but the slow one."""
        return self._ask("GET", "/book")

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _ask(self, method: str, path: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
        self._connection.request(method, path, json.dumps(given or {}))
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return answer


@contextlib.contextmanager
def vendor_running(port: int) -> Iterator[Vendor]:
    """Start the vendor on a port, and end it again."""
    with tempfile.TemporaryDirectory(prefix="bench-vendor") as folder:
        argv = [sys.executable, "-m", "benchmarks.vendor.server", str(port)]
        program = Program("vendor", argv, environment=os.environ, log=Path(folder) / "vendor.log")
        try:
            program.wait_for(READY)
            vendor = Vendor(port)
            yield vendor
            vendor.close()
        finally:
            program.end()
