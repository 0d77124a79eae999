"""Makes the TLS contexts of clients and servers."""

import ssl
from pathlib import Path


def client_context(ca: Path | None) -> ssl.SSLContext:
    """Return the TLS context of a client. `ca`: the file of trusted CA certificates; None trusts those of the system.

    Raises:
        OSError: the file cannot be read or contains no certificate; the message names the file.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise OSError(f"{ca} gives no CA certificate: {error}") from error


def show_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Let the context prove who we are. `certificate`: PEM, followed by its chain.

    Raises:
        OSError: a file cannot be read or is invalid, or the key does not belong to the certificate.
    """
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise OSError(f"{certificate} and {key} are no certificate with its key: {error}") from error


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the TLS context of a server. `certificate`: PEM, followed by its chain.

    Raises:
        OSError: a file cannot be read or is invalid, or the key does not belong to the certificate.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    show_certificate(context, certificate, key)
    return context
