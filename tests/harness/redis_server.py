"""A Redis server of our own, on a port of its own, that may be killed, frozen and set up as a test needs it."""

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import redis

from tests.harness.ports import free_port
from tests.harness.program import eventually

LASTING = ["--appendonly", "yes", "--appendfsync", "always"]


def installed_here() -> bool:
    """Tell whether a server can be started here at all."""
    return shutil.which("redis-server") is not None


class RedisServer:
    """The server, with its files in ``folder``."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self._folder, self._settings, self._port = folder, settings or LASTING, free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def client(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=2)

    def start(self) -> None:
        """Start it and wait until it answers; what it has written down before is there."""
        fixed: Sequence[str] = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            ["redis-server", *fixed, *self._settings],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._answers, within=20, what="Redis answers")

    def kill(self) -> None:
        """SIGKILL it, as a power failure would end it."""
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait(10)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.client.ping())
        return False


@contextlib.contextmanager
def redis_server(folder: Path, *settings: str) -> Iterator[RedisServer]:
    """Run a server, and end it."""
    server = RedisServer(folder, *settings)
    try:
        yield server
    finally:
        server.kill()
