"""Makes and reads the key from which the secrets of all webhooks are derived."""

import secrets
from pathlib import Path
from typing import Final

from k1_platform.auth.secret_files import folder_lock, write_atomically

_LENGTH: Final = 32


def ensure_master_key(file: Path) -> bytes:
    """Return the key of the file; make it first if there is none. Several processes may call this at once.

    Raises:
        ValueError: the file holds no key.
        OSError: it cannot be read or written.
    """
    with folder_lock(file.parent):
        if not file.exists():
            write_atomically(file, secrets.token_hex(_LENGTH))
        try:
            key = bytes.fromhex(file.read_text().strip())
        except ValueError:
            key = b""
    if len(key) != _LENGTH:
        raise ValueError(f"{file} must hold {2 * _LENGTH} hexadecimal digits; put the right key back")
    return key
