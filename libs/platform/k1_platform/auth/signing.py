"""Makes and reads the Ed25519 keys that sign bundles: one PEM file (PKCS 8) per key in the folder K1_SIGNING_KEYS.

`python -m k1_platform.auth.signing` makes the first key, and changes nothing if one exists; `--rotate` adds a key. The name
of a file is the time at which it was made, so the last name is the newest key, which signs. The public keys of all files
are valid; remove a file to revoke its key.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from k1_platform.auth.secret_files import folder_lock, write_atomically
from k1_platform.observability.logging import configure_logging
from k1_platform.settings import ObservabilitySettings, SigningSettings

_SUFFIX: Final = ".pem"
_ACCESS_OF_OTHERS: Final = 0o077
_log = logging.getLogger(__name__)


class SigningKeyError(Exception):
    """The folder of keys cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The valid signing keys of a folder."""

    private: Sequence[Ed25519PrivateKey]
    """All private keys, the newest first."""

    @property
    def signing(self) -> Ed25519PrivateKey:
        """The key that signs bundles."""
        return self.private[0]

    @property
    def public(self) -> Sequence[Ed25519PublicKey]:
        """The public keys, the newest first."""
        return [key.public_key() for key in self.private]


def load_keys(folder: Path) -> KeyRing:
    """Return all keys of a folder.

    Raises:
        SigningKeyError: the folder has no key, a file has no Ed25519 key, or others than the owner can read a file.
    """
    keys = [_read(file) for file in reversed(_files(folder))]
    if not keys:
        raise SigningKeyError(
            f"there is no signing key in {folder}; run `python -m k1_platform.auth.signing`"
        )
    return KeyRing(keys)


def ensure_key(folder: Path) -> bool:
    """Make the first key; return False if one exists. Several processes may call this at once."""
    with folder_lock(folder):
        if _files(folder):
            return False
        _write(folder, datetime.now(UTC))
        return True


def add_key(folder: Path) -> None:
    """Make another key; it signs after the next start of the service."""
    with folder_lock(folder):
        _write(folder, datetime.now(UTC))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _read(file: Path) -> Ed25519PrivateKey:
    if file.stat().st_mode & _ACCESS_OF_OTHERS:
        raise SigningKeyError(f"{file} can be read by others; make it private: chmod 600 {file}")
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise SigningKeyError(f"{file} cannot be read: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(f"{file} is no Ed25519 key; remove it")
    return key


def _write(folder: Path, at: datetime) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_atomically(folder / f"{at.strftime('%Y%m%dT%H%M%S.%fZ')}{_SUFFIX}", pem.decode())


def main() -> None:
    """Make the first key, or another one with `--rotate`."""
    parser = argparse.ArgumentParser(description="Make the keys that bundles are signed with.")
    parser.add_argument("--rotate", action="store_true", help="add a key, which signs from the next start on")
    arguments = parser.parse_args()
    folder = SigningSettings().signing_keys
    configure_logging("signing", ObservabilitySettings().log_level)
    if arguments.rotate:
        add_key(folder)
        _log.info("key added", extra={"folder": str(folder)})
    elif ensure_key(folder):
        _log.info("first key made", extra={"folder": str(folder)})


if __name__ == "__main__":
    main()
