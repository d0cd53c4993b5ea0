"""What the project's commands take as arguments: a port to serve on, and how many processes to start."""

import socket
from argparse import ArgumentParser, ArgumentTypeError

from awards.management.arguments import port_number, whole_number


def add_process_arguments(parser: ArgumentParser) -> None:
    """Take where to serve, and how many processes."""
    parser.add_argument("--bind", default="127.0.0.1:8000", help="host:port to serve on (127.0.0.1:8000)")
    parser.add_argument(
        "--web-workers", type=whole_number(1, 1_000), default=2, help="processes that serve, 4 threads each (2)"
    )
    parser.add_argument(
        "--concurrency", type=whole_number(1, 1_000), default=2, help="processes that consume messages (2)"
    )


def free_port_number(text: str) -> int:
    """Take a port on which we can serve now; 0 is any that is free."""
    wanted = port_number(text)
    if wanted and free_port(wanted) != wanted:
        raise ArgumentTypeError(f"{wanted} is taken, or not for us to use; give another, or 0 for any that is free")
    return wanted


def free_port(wanted: int = 0) -> int:
    """Return ``wanted`` if it is free on this machine, else a port that is."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no port is free")
