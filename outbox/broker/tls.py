"""Why RabbitMQ and we do not come to terms by TLS, in words: whose certificate, which file, since when."""

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from kombu import Connection

NOT_YET_VALID, EXPIRED, OTHER_NAME, OTHER_ADDRESS = 9, 10, 62, 64
UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's codes for a chain that leads to none of our authorities."""
NO_CHECK_TIME = 0x200000
"""OpenSSL's flag for "whatever the date"; Python has no name for it."""
FILES = ("ca_certs", "certfile", "keyfile")


OPTIONS_IN, ADDRESS_IN = "Celery's broker_use_ssl", "broker_url"


def why_no_tls(
    error: BaseException,
    connection: Connection,
    *,
    seconds: float,
    options_in: str = OPTIONS_IN,
    address_in: str = ADDRESS_IN,
) -> str:
    """Return what was in the way; empty if it was not TLS. To learn a date, it connects once more, for ``seconds``.

    The sentence names the settings in which TLS's options and the address are to be mended.
    """
    options: Mapping[str, Any] = connection.ssl if isinstance(connection.ssl, dict) else {}
    if not connection.ssl:
        return ""
    host, port = _address_of(connection)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _why_not_trusted(error, host, port, options, seconds, options_in, address_in)
    if isinstance(error, ssl.SSLError):
        return _why_no_session(error, host, port, options, options_in)
    if isinstance(error, FileNotFoundError | PermissionError):
        named = [f"{name} {options[name]}" for name in FILES if options.get(name)]
        return f"a file that {options_in} names cannot be read ({error.strerror}): {', '.join(named)}"
    return ""


def _why_not_trusted(
    error: ssl.SSLCertVerificationError,
    host: str,
    port: int,
    options: Mapping[str, Any],
    seconds: float,
    options_in: str,
    address_in: str,
) -> str:
    authorities = options.get("ca_certs") or "the authorities of this machine"
    whose = f"the certificate of RabbitMQ at {host}:{port}"
    match error.verify_code:
        case code if code in (EXPIRED, NOT_YET_VALID):
            begins, ends = _dates(host, port, options, seconds)
            now = datetime.now(UTC)
            if code == EXPIRED and ends and ends < now:
                return f"{whose} has expired on {ends:%Y-%m-%d %H:%M} UTC: give it a new one (ssl_options.certfile)"
            if code == NOT_YET_VALID and begins and begins > now:
                return f"{whose} is not valid before {begins:%Y-%m-%d %H:%M} UTC: is a clock wrong?"
            return f"{whose}, or an authority of it in {authorities}: {error.verify_message}"
        case code if code in UNKNOWN_AUTHORITY:
            return (
                f"{whose} is signed by none of the authorities in {authorities} ({error.verify_message}): name the "
                f'right file in {options_in}["ca_certs"]'
            )
        case code if code in (OTHER_NAME, OTHER_ADDRESS):
            return f"{whose} is for another name ({error.verify_message}): correct {address_in}, or the certificate"
        case _:
            return f"{whose} is not accepted: {error.verify_message}"


def _why_no_session(error: ssl.SSLError, host: str, port: int, options: Mapping[str, Any], options_in: str) -> str:
    reason = str(error.reason or error)
    if "WRONG_VERSION_NUMBER" in reason:
        return f"the port {port} of {host} speaks no TLS, and {options_in} asks for it"
    if "ALERT" in reason and "CERTIFICATE" in reason:
        ours = options.get("certfile") or "none was shown"
        return f"RabbitMQ at {host}:{port} does not accept our certificate ({ours}): {reason.replace('_', ' ').lower()}"
    return f"no TLS with {host}:{port}: {reason.replace('_', ' ').lower()}"


def _dates(host: str, port: int, options: Mapping[str, Any], seconds: float) -> list[datetime | None]:
    """Shake hands once more, whatever the date, and read from when to when the certificate is valid."""
    certificate: Mapping[str, Any] = {}
    with suppress(OSError, ValueError):
        context = ssl.create_default_context(cafile=options.get("ca_certs"))
        context.check_hostname = False
        context.verify_flags |= NO_CHECK_TIME
        if options.get("certfile"):
            context.load_cert_chain(options["certfile"], options.get("keyfile"))
        plain = socket.create_connection((host, port), seconds)
        with plain, context.wrap_socket(plain, server_hostname=options.get("server_hostname") or host) as secured:
            certificate = secured.getpeercert() or {}
    texts = [certificate.get(name) for name in ("notBefore", "notAfter")]
    return [datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC) if text else None for text in texts]


def _address_of(connection: Connection) -> tuple[str, int]:
    defaults = connection.transport.default_connection_params
    return connection.hostname or defaults["hostname"], int(connection.port or defaults["port"])
