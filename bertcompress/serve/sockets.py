"""Where a server listens: opened before anything slow is done, kept by the supervisor."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from bertcompress.errors import RunError, UsageError
from bertcompress.serve.settings import ServeSettings

_BACKLOG = 2048


@contextmanager
def listening(settings: ServeSettings) -> Iterator[socket.socket]:
    """Opens the socket.

    Raises:
        RunError: The address is taken, or can't be had.
    """
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        opened = socket.create_server(found[4][:2], family=found[0], backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise RunError(
                f"port {settings.port} of {settings.host} is in use; give another with --port, or "
                "0 for any free one"
            ) from error
        raise RunError(
            f"can't listen on {settings.host}:{settings.port}: {error.strerror or error}"
        ) from error
    with opened:
        yield opened


def address_of(listener: socket.socket, settings: ServeSettings) -> str:
    """Returns what clients are told, such as ``http://127.0.0.1:8000``."""
    scheme = "https" if settings.tls_certificate else "http"
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def check_tls(settings: ServeSettings) -> None:
    """Fails where a certificate can't be used, before any model is loaded.

    Raises:
        UsageError: A file is missing, is none of PEM, or the key is of another certificate.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return
    for path in (settings.tls_certificate, settings.tls_key):
        if not path.is_file():
            raise UsageError(f"{path} is no file; --tls-cert and --tls-key name PEM files")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password="")
    except (ssl.SSLError, OSError) as error:
        raise UsageError(
            f"{settings.tls_certificate} and {settings.tls_key} are no certificate and its key in "
            f"PEM without a password: {error}"
        ) from error
