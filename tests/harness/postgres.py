"""PostgreSQL servers of our own, on ports of their own: one that writes, and a standby that may take its place."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psycopg2

from tests.harness.ports import free_port
from tests.harness.program import eventually

NOBODY = 65534
QUICK = ["-c", "fsync=off", "-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1"]


def programs() -> Path | None:
    """Return where the server's programs are, of one version; None if they are not installed here."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    folders = [*found, *([Path(on_path).parent] if on_path else [])]
    return next((folder for folder in folders if (folder / "pg_basebackup").exists()), None)


class Server:
    """A server with its files in ``folder``, which whoever runs it must be able to enter."""

    def __init__(self, folder: Path, *, standby_of: "Server | None" = None, settings: Sequence[str] = ()) -> None:
        where = programs()
        assert where is not None
        self._programs, self._data, self._port = where, folder / "data", free_port()
        self._user = NOBODY if os.getuid() == 0 else None  # root may not run it
        if self._user is not None:
            os.chown(folder, NOBODY, NOBODY)
        if standby_of is None:
            self._run("initdb", "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8", "-D", str(self._data))
        else:
            self._run("pg_basebackup", "-R", "-c", "fast", "-D", str(self._data), "-d", standby_of.url)
        self._settings = settings
        self.start()

    def start(self) -> None:
        """Start it, at first or once it was stopped."""
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", str(self._data), "-p", str(self._port), *QUICK, *self._settings],
            cwd=self._data.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
        )
        eventually(self._answers, within=20, what="the server answers")

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self._port}/postgres"

    def promote(self) -> None:
        """Let a standby write; its sessions live on."""
        self._run("pg_ctl", "promote", "-D", str(self._data))

    def stop(self) -> None:
        """End it and every session; its standby gets all that was committed."""
        self._run("pg_ctl", "stop", "-m", "fast", "-D", str(self._data))
        self._process.wait(20)

    def close(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self._run("pg_ctl", "stop", "-m", "immediate", "-D", str(self._data))
            self._process.wait(20)

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(self.url).close()
            return True
        return False

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            cwd=self._data.parent,
            check=True,
            capture_output=True,
            timeout=60,
            user=self._user,
        )
