"""TLS for clients and servers: whose certificates are believed, and which one is shown."""

import ssl
from pathlib import Path


def client_context(ca: Path | None) -> ssl.SSLContext:
    """Return how a client checks servers. `ca`: the certificates that are trusted; None for those of the system.

    Raises:
        OSError: the file cannot be read or holds no certificate; the message names it.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise OSError(f"{ca} gives no CA certificate: {error}") from error


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what a server shows to its clients. `certificate`: PEM, with the chain after it.

    Raises:
        OSError: a file cannot be read, holds nothing of use, or the key is another certificate's.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise OSError(f"{certificate} and {key} are no certificate with its key: {error}") from error
    return context
