"""The home folder of one stack: its paths, credentials, remembered ports, state file and lock."""

import fcntl
import json
import os
import secrets
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, cast

from k1_cli.stack.embedded.errors import HomeInUseError, StackError
from k1_platform.auth.secret_files import write_atomically

_OWNER_ONLY = 0o700
_ENTRIES = frozenset(
    (
        "data",
        "logs",
        "run",
        "keys",
        "nats-keys",
        "devices",
        "tls",
        "account-keys",
        "webhook-keys",
        "api-key",
        "login.json",
        "mail",
        "credentials.json",
        "state.json",
        "setup.lock",
    )
)
"""The entries of a home folder."""


@dataclass(frozen=True)
class Credentials:
    """Passwords and keys, generated once for each home and stored only in it."""

    postgres_password: str
    s3_access_key: str
    s3_secret_key: str

    @classmethod
    def generate(cls) -> Self:
        """Return new random credentials."""
        return cls(
            postgres_password=secrets.token_hex(16),
            s3_access_key=f"k1{secrets.token_hex(9)}",
            s3_secret_key=secrets.token_hex(20),
        )


class Home:
    """The folder of one stack: `data/`, `logs/`, `run/`, `keys/`, `nats-keys/` and `credentials.json` (mode 600)."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.logs = self.root / "logs"
        self.run = self.root / "run"
        self.keys = self.root / "keys"
        self.nats_keys = self.root / "nats-keys"
        self.account_keys = self.root / "account-keys"
        self.webhooks_key_file = self.root / "webhook-keys" / "secret.key"
        self.api_key_file = self.root / "api-key"
        self.mail = self.root / "mail"
        self.state_file = self.root / "state.json"
        self.ports_file = self.run / "ports.json"
        self._lock_file: int | None = None

    def create(self) -> None:
        """Create the folders that every process needs; only their owner can read the home.

        Raises:
            StackError: the folder cannot be created, written or closed to other users.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=_OWNER_ONLY)
            self._remove_rights_of_others()
            for folder in (self.root / "data", self.logs, self.run):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StackError(
                f"cannot write the home folder {self.root}: {error.strerror}; choose another with --home"
            ) from error

    def _remove_rights_of_others(self) -> None:
        """Remove all rights of other users, but refuse a folder with foreign files: it may be shared on purpose."""
        if not self.root.stat().st_mode & 0o077:
            return
        foreign = sorted(entry.name for entry in self.root.iterdir() if entry.name not in _ENTRIES)
        if foreign:
            raise StackError(
                f"other users may read {self.root}, which also holds {foreign[0]}; choose a folder of its own "
                f"with --home, or close it to others: chmod 700 {self.root}"
            )
        self.root.chmod(_OWNER_ONLY)

    def data(self, name: str) -> Path:
        """Return the data folder of the server `name`."""
        return self.root / "data" / name

    def credentials(self) -> Credentials:
        """Return the credentials of this home; the first call generates them."""
        path = self.root / "credentials.json"
        if path.exists():
            stored = json.loads(path.read_text())
            return Credentials(**{field.name: stored[field.name] for field in fields(Credentials)})
        made = Credentials.generate()
        write_atomically(path, json.dumps(vars(made), indent=2))
        return made

    def remembered_ports(self) -> dict[str, int]:
        """Return the ports of the last run by name, so that URLs stay the same from run to run."""
        path = self.ports_file
        return cast("dict[str, int]", json.loads(path.read_text())) if path.exists() else {}

    def remember_ports(self, ports: dict[str, int]) -> None:
        """Add `ports` to the stored ones, or replace those of the same name, for the next run."""
        write_atomically(self.ports_file, json.dumps(self.remembered_ports() | ports, indent=2))

    def read_state(self) -> dict[str, Any] | None:
        """Return the state that the running supervisor wrote, or None where there is none."""
        try:
            return cast("dict[str, Any]", json.loads(self.state_file.read_text()))
        except FileNotFoundError:
            return None

    def lock(self) -> None:
        """Lock the home for this process; the lock ends with `unlock` or with the process.

        Raises:
            HomeInUseError: another stack runs on this home.
        """
        descriptor = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise HomeInUseError(self.root) from error
        self._lock_file = descriptor

    @property
    def holds_lock(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock_file is not None

    def unlock(self) -> None:
        """Release the lock; harmless when it is not held."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def is_locked(self) -> bool:
        """Return whether a live process runs a stack on this home."""
        if not self.run.exists():
            return False
        try:
            self.lock()
        except HomeInUseError:
            return True
        self.unlock()
        return False
