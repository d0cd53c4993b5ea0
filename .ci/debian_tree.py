"""PostgreSQL and RabbitMQ of another Debian, run from a tree of its own, on ports of their own.

The tree is made once, as root: ``debootstrap --include=postgresql,rabbitmq-server trixie DIR``.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.harness.ports import free_port

PATIENCE_SECONDS = 90
HOW_TO_MAKE = "debootstrap --include=postgresql,rabbitmq-server trixie DIR"


def postgresql_in(tree: Path) -> str:
    """Return which PostgreSQL the tree holds; nothing if it holds none."""
    return max((folder.name for folder in (tree / "usr/lib/postgresql").glob("*")), key=int, default="")


def rabbitmq_in(tree: Path) -> str:
    """Return which RabbitMQ the tree holds; nothing if it holds none."""
    found = (tree / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*")
    return max((folder.name.partition("-")[2] for folder in found), default="")


@contextlib.contextmanager
def postgresql(tree: Path) -> Iterator[str]:
    """Run the tree's PostgreSQL on an empty cluster; yield its address."""
    port, tools = free_port(), f"/usr/lib/postgresql/{postgresql_in(tree)}/bin"
    with _folder(tree, "postgres") as folder:
        initdb = [f"{tools}/initdb", "-D", f"{folder}/data", "--auth=trust", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(_as("postgres", tree, initdb), check=True, stdout=subprocess.DEVNULL)
        options = {"port": port, "listen_addresses": "127.0.0.1", "max_connections": 200, "fsync": "off"}
        options["unix_socket_directories"] = str(folder)
        server = [f"{tools}/postgres", "-D", f"{folder}/data"]
        server += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with _running(_as("postgres", tree, server), tree, folder, port):
            yield f"postgres://postgres@127.0.0.1:{port}/test"


@contextlib.contextmanager
def rabbitmq(tree: Path, *, denied: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Run the tree's RabbitMQ, which does not permit the deprecated features that are ``denied``.

    Yield its address and the command that is its ``rabbitmqctl``.
    """
    port, distribution_port = free_port(), free_port()
    with _folder(tree, "rabbitmq") as folder:
        settings = [f"listeners.tcp.local = 127.0.0.1:{port}"]
        settings += [f"deprecated_features.permit.{feature} = false" for feature in denied]
        outside = tree / folder.relative_to("/")
        outside.joinpath("rabbitmq.conf").write_text("\n".join([*settings, ""]))
        outside.joinpath("plugins").write_text("[].")
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": folder,
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"lane{port}@localhost",
            "RABBITMQ_DIST_PORT": distribution_port,
            "RABBITMQ_MNESIA_BASE": folder / "database",
            "RABBITMQ_LOG_BASE": folder / "log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": folder / "none.conf",
        }
        pairs = [f"{name}={value}" for name, value in environment.items()]
        server, control = (
            _as("rabbitmq", tree, ["/usr/bin/env", "-i", *pairs, f"/usr/lib/rabbitmq/bin/{program}"])
            for program in ("rabbitmq-server", "rabbitmqctl")
        )
        with _running(server, tree, folder, port):
            yield f"amqp://guest:guest@127.0.0.1:{port}//", control


def _as(user: str, tree: Path, command: Sequence[str]) -> list[str]:
    return ["chroot", f"--userspec={user}:{user}", str(tree), *command]


@contextlib.contextmanager
def _folder(tree: Path, user: str) -> Iterator[Path]:
    """Make a folder in the tree that is the user's; yield its path as seen from in there."""
    folder = Path("/srv") / f"{user}-{free_port()}"
    outside = tree / folder.relative_to("/")
    outside.mkdir()
    subprocess.run(["chroot", str(tree), "chown", f"{user}:{user}", str(folder)], check=True)
    try:
        yield folder
    finally:
        shutil.rmtree(outside, ignore_errors=True)


@contextlib.contextmanager
def _running(command: Sequence[str], tree: Path, folder: Path, port: int) -> Iterator[None]:
    output = tree / folder.relative_to("/") / "output"
    with output.open("ab") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        if not _answers(process, port):
            sys.stderr.write(output.read_text(errors="replace")[-2000:])
            raise RuntimeError(f"{command[-1]} does not answer on port {port}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.2)
    return False
