"""What the project's commands take as arguments: a port to serve on, and how many processes to start."""

import socket
from argparse import ArgumentParser, ArgumentTypeError

from awards.management.arguments import port_number, whole_number

WITHOUT_TLS = dict.fromkeys(
    ("SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"), "0"
)
"""What the environment must say where pages are served to this machine, without TLS."""


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


def why_not_here(bind: str) -> str:
    """Return why nobody can serve at ``bind``, host:port, and what to do; nothing if one can, or if it is a socket."""
    host, _colon, port = bind.rpartition(":")
    if not port.isdigit() or host == "unix":
        return ""
    try:
        socket.create_server((host.strip("[]"), int(port)), family=_family_of(host)).close()
    except (OSError, OverflowError) as error:
        return f"{bind} is taken, or not for us to use ({error}). Give another: --bind {host or '127.0.0.1'}:PORT"
    return ""


def is_for_this_machine_only(bind: str) -> bool:
    """Tell whether what is served at ``bind``, host:port, can be reached from this machine only."""
    return bind.rpartition(":")[0].strip("[]") in ("127.0.0.1", "::1", "localhost")


def _family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


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
