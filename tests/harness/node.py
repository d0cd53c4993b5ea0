"""A RabbitMQ node of our own, on ports of its own, that may be killed, frozen and starved."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from tests.harness.ports import free_port
from tests.harness.program import eventually

DEBIAN = Path("/usr/lib/rabbitmq/bin")
"""Where the tools are that run as whoever calls them; those on the path may change to the user rabbitmq."""
HEADER = b"AMQP\0\0\x09\x01"


class Node:
    """The node, its files in ``folder``; what was done to it is counted in ``suffered``.

    The nodes of one ``cluster``, which has their names, need one ``home`` for the secret that they share. With
    ``management`` the node has the plugin of that name, at ``management_url``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "",
        cluster: Sequence[str] = (),
        home: Path | None = None,
        management: bool = False,
    ) -> None:
        self._folder = folder
        self._port, self._distribution_port = free_port(), free_port()
        self.name = name or f"faults{os.getpid()}@localhost"
        self.suffered: Counter[str] = Counter()
        folder.joinpath("plugins").write_text("[rabbitmq_management]." if management else "[].")
        settings = [f"listeners.tcp.local = 127.0.0.1:{self._port}"]
        self._management_port = free_port()
        if management:
            settings += ["management.tcp.ip = 127.0.0.1", f"management.tcp.port = {self._management_port}"]
        if cluster:
            settings.append("cluster_formation.peer_discovery_backend = classic_config")
            settings += [
                f"cluster_formation.classic_config.nodes.{number} = {node}" for number, node in enumerate(cluster)
            ]
        folder.joinpath("rabbitmq.conf").write_text("\n".join([*settings, ""]))
        self._environment = {
            **os.environ,
            "HOME": str(home or folder),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "database"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none.conf"),
        }
        self.start()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}//"

    @property
    def management_url(self) -> str:
        return f"http://guest:guest@127.0.0.1:{self._management_port}"

    def start(self) -> None:
        """Start the node and wait until it answers."""
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [tool("rabbitmq-server")],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        eventually(self.answers, within=60, what="the broker answers")

    def answers(self) -> bool:
        """Tell whether the node speaks AMQP."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1) as connection:
            connection.settimeout(2)
            connection.sendall(HEADER)
            return bool(connection.recv(8))
        return False

    def kill(self) -> None:
        """SIGKILL the node, as a power failure would end it."""
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):  # it starts some for a moment, for its tools
                process.kill()
        self._process.wait(10)
        self.suffered["killed"] += 1

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the node by SIGSTOP for a while; connections stay, nobody answers."""
        since = time.monotonic()
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in self._family():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()
            self.suffered["frozen seconds"] += round(time.monotonic() - since)

    def control(self, *arguments: str) -> str:
        """Run ``rabbitmqctl`` on the node and return what it says."""
        return subprocess.run(
            [tool("rabbitmqctl"), "--quiet", "-n", self.name, *arguments],
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    def running(self) -> list[str]:
        """Return the nodes that run, as this one sees its cluster."""
        status = json.loads(self.control("cluster_status", "--formatter", "json"))
        return list(status["running_nodes"])

    def close(self) -> None:
        """End the node; its files go with its folder."""
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
                process.kill()
        self._process.wait(10)

    def _family(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self._process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@contextlib.contextmanager
def cluster(folder: Path, *, size: int) -> Iterator[list[Node]]:
    """Run nodes that have found each other, and end them."""
    names = [f"cluster{number}-{os.getpid()}@localhost" for number in range(size)]
    nodes: list[Node] = []
    try:
        for number, name in enumerate(names):
            own = folder / str(number)
            own.mkdir()
            nodes.append(Node(own, name=name, cluster=names, home=folder))
        # Asking costs a second of Erlang's start, and what one sees of the others, they see of it.
        eventually(lambda: len(nodes[0].running()) == size, within=60, what="all found each other", every=1)
        yield nodes
    finally:
        for node in nodes:
            node.close()


def tool(name: str) -> str:
    """Return the path of one of RabbitMQ's tools."""
    own = DEBIAN / name
    return str(own) if own.exists() else shutil.which(name) or name


def installed_here() -> bool:
    """Tell whether a node can be started here at all."""
    return (DEBIAN / "rabbitmq-server").exists() or shutil.which("rabbitmq-server") is not None
