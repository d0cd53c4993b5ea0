"""A PgBouncer of our own in front of a database: many clients, few sessions, another one for each transaction."""

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.harness.ports import free_port
from tests.harness.program import eventually

NOBODY = 65534
SETTINGS = """
[databases]
{name} = host={host} port={port} dbname={name} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 200
logfile = {folder}/pgbouncer.log
"""


class Pooler:
    """PgBouncer in transaction mode, with no more than ``sessions`` on the server."""

    def __init__(self, database: str, folder: Path, *, sessions: int) -> None:
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if program is None:
            pytest.skip("PgBouncer is not installed here")
        address, self._port = urlsplit(database), free_port()
        name = address.path.lstrip("/")
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            SETTINGS.format(
                name=name,
                host=address.hostname,
                port=address.port or 5432,
                user=address.username,
                password=address.password or "none",
                listen=self._port,
                sessions=sessions,
                folder=folder,
            )
        )
        root = os.getuid() == 0  # as whom it refuses to run
        if root:
            for path in (folder, settings):
                os.chown(path, NOBODY, NOBODY)
        self._process = subprocess.Popen(
            [program, "--quiet", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=NOBODY if root else None,
        )
        self.url = f"postgres://{address.username}@127.0.0.1:{self._port}/{name}?options="
        eventually(self._answers, within=10, what="the pooler answers")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
            return True
        return False

    def close(self) -> None:
        """End it, and with it every connection."""
        self._process.kill()
        self._process.wait(10)
