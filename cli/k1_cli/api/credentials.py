"""Finds and keeps the credential with which the commands sign in at the gateway."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from k1_cli.errors import CommandError
from k1_platform.auth.secret_files import write_atomically

_VARIABLES: Final = ("K1_API_KEY", "K1_TOKEN")
LOGIN_FILE: Final = "login.json"
STACK_KEY_FILE: Final = "api-key"
"""The key that `k1 up` makes for the person who runs the stack."""


@dataclass(frozen=True)
class StoredLogin:
    """What `k1 login` keeps: an API key, and what is needed to revoke it."""

    key: str
    key_id: str
    email: str


def find_credential(home: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the token or key to send: K1_API_KEY, K1_TOKEN, the key of `k1 login`, or that of the stack."""
    for name in _VARIABLES:
        if given := environment.get(name, "").strip():
            return given
    if login := read_login(home):
        return login.key
    try:
        return (home / STACK_KEY_FILE).read_text().strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandError(f"{error.filename} cannot be read: {error.strerror}") from error


def read_login(home: Path) -> StoredLogin | None:
    """Return what the last `k1 login` kept, or None."""
    file = home / LOGIN_FILE
    try:
        return StoredLogin(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise CommandError(f"{file} cannot be read ({error}); remove it and log in again") from error


def store_login(home: Path, login: StoredLogin) -> None:
    """Keep a login in a file that only its owner can read."""
    write_atomically(home / LOGIN_FILE, json.dumps(asdict(login), indent=2))


def remove_login(home: Path) -> None:
    """Forget the login."""
    (home / LOGIN_FILE).unlink(missing_ok=True)
