"""How every connection to NATS is made: where the servers are and who we are."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from k1_platform.nats_jwt import KeyPair, NatsTokenError, parse_credentials
from k1_platform.settings import NatsSettings


class CredentialsFileError(OSError):
    """The file of credentials is absent or holds none.

    An OSError, because the client tries again after one: a file that is just being replaced must not end it.
    """


class ConnectOptions(TypedDict):
    """Keyword arguments for `nats.connect`."""

    servers: list[str]
    user_jwt_cb: Callable[[], bytes] | None
    signature_cb: Callable[[str], bytes] | None


def connect_options(settings: NatsSettings) -> ConnectOptions:
    """Servers and, where there is a file of them, credentials; the file is read at every connection anew.

    Raises:
        CredentialsFileError: when connecting, not here.
    """
    servers, file = settings.url.split(","), settings.creds
    if file is None:
        return ConnectOptions(servers=servers, user_jwt_cb=None, signature_cb=None)

    def token() -> bytes:
        return _read(file)[0].encode()

    def sign(nonce: str) -> bytes:
        return base64.b64encode(_read(file)[1].sign(nonce.encode()))

    return ConnectOptions(servers=servers, user_jwt_cb=token, signature_cb=sign)


def _read(file: Path) -> tuple[str, KeyPair]:
    try:
        return parse_credentials(file.read_text())
    except (OSError, NatsTokenError) as error:
        raise CredentialsFileError(f"{file} gives no credentials for NATS: {error}") from error
