"""TLS in front of a server that speaks without: a certificate of its own, and a port that takes the TLS off."""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for ``localhost`` that is its own authority, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    return certificate, key


def let_expire(certificate: Path, key: Path) -> None:
    """Sign the certificate anew as one that ended yesterday."""
    anew = ("-in", str(certificate), "-signkey", str(key), "-days", "-1", "-out", str(certificate))
    subprocess.run(["openssl", "x509", *anew], check=True, capture_output=True, timeout=30)


@contextlib.contextmanager
def tls_port(certificate: Path, key: Path, upstream: int) -> Iterator[int]:
    """Listen with TLS and pass on to the port ``upstream`` of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, context, upstream), daemon=True).start()
        yield int(listener.getsockname()[1])


def _serve(listener: socket.socket, context: ssl.SSLContext, upstream: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            plain, _address = listener.accept()
            with contextlib.suppress(OSError):
                client = context.wrap_socket(plain, server_side=True)
                server = socket.create_connection(("127.0.0.1", upstream))
                for one, other in [(client, server), (server, client)]:
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
