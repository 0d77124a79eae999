"""Makes the secrets that `docker-compose.yml` mounts: a file for each, in a folder that only its owner can open.

Docker mounts single files with the owner and the mode that they have on this machine, and the servers and services run
as other users. So the files are readable by all, and the folder around them keeps other people of this machine out.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from k1_cli.errors import CommandError
from k1_platform.auth.secret_files import folder_lock, write_atomically

USER: Final = "k1"
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o644
_MOUNTED_FOLDER_MODE: Final = 0o755
_PASSWORD_BYTES: Final = 24
_PASSWORD_IN_ENV: Final = re.compile(r"^\s*(?:export\s+)?K1_PASSWORD\s*=\s*(.*?)\s*$", re.MULTILINE)

_PASSWORDS: Final = ("postgres-password", "mongo-password", "K1_S3_SECRET_KEY", "grafana-password")


def _postgres_dsn(values: Mapping[str, str]) -> str:
    return f"postgresql://{USER}:{quote(values['postgres-password'], safe='')}@postgres:5432/k1"


def _mongo_url(values: Mapping[str, str]) -> str:
    return f"mongodb://{USER}:{quote(values['mongo-password'], safe='')}@mongo:27017/k1?authSource=admin"


def _access_key(_: Mapping[str, str]) -> str:
    return USER


def _s3_identities(values: Mapping[str, str]) -> str:
    """Return the configuration of SeaweedFS: one user, who may do everything."""
    keys = {"accessKey": values["K1_S3_ACCESS_KEY"], "secretKey": values["K1_S3_SECRET_KEY"]}
    identity = {"name": USER, "credentials": [keys], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    return json.dumps({"identities": [identity]})


_DERIVED: Final[Mapping[str, Callable[[Mapping[str, str]], str]]] = {
    "K1_POSTGRES_DSN": _postgres_dsn,
    "K1_MONGO_URL": _mongo_url,
    "K1_S3_ACCESS_KEY": _access_key,
    "s3.json": _s3_identities,
}
"""What follows from the passwords, in the order of making."""

NAMES: Final = (*_PASSWORDS, *_DERIVED)
"""Every file; one whose name begins with K1_ holds the setting of that name."""


ALERT_RECEIVERS: Final = "alert-receivers"
"""The folder for the addresses that Alertmanager sends to. The user writes its files; none is needed for the start."""


@dataclass(frozen=True, slots=True)
class MadeSecrets:
    """What `make_secrets` did: the names of the files that it made and of those that it left alone."""

    made: tuple[str, ...]
    kept: tuple[str, ...]


def has_alert_receiver(folder: Path) -> bool:
    """Return whether some address for alerts is in the folder of the secrets."""
    return any((folder / ALERT_RECEIVERS).iterdir())


def make_secrets(folder: Path, known_password: str | None = None) -> MadeSecrets:
    """Make the files that are missing and the folder of alert receivers, and change no file that exists.

    `known_password`: what the servers of an earlier release were started with; without it each password is random.

    Raises:
        CommandError: the folder or a file cannot be read or written, or a file is empty.
    """
    try:
        with folder_lock(folder):
            folder.chmod(_FOLDER_MODE)
            (folder / ALERT_RECEIVERS).mkdir(exist_ok=True)
            (folder / ALERT_RECEIVERS).chmod(_MOUNTED_FOLDER_MODE)
            return _make_missing(folder, known_password)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"the secrets in {folder} cannot be made or read: {_reason(error)}") from None


def _reason(error: OSError | UnicodeDecodeError) -> str:
    """Return why, without the bytes of a file."""
    return str(error) if isinstance(error, OSError) else "a file is not UTF-8 text"


def _make_missing(folder: Path, known_password: str | None) -> MadeSecrets:
    values: dict[str, str] = {}
    made: list[str] = []
    for name in NAMES:
        file = folder / name
        if not file.exists():
            made.append(name)
            derive = _DERIVED.get(name)
            random = known_password or secrets.token_hex(_PASSWORD_BYTES)
            write_atomically(file, derive(values) if derive else random, _FILE_MODE)
        # Also where the process that made it had a strict umask.
        file.chmod(_FILE_MODE)
        values[name] = file.read_text(encoding="utf-8").strip()
        if not values[name]:
            raise CommandError(
                f"{file} is empty; write the secret into it, or delete it to have a new one made"
            )
    return MadeSecrets(tuple(made), tuple(name for name in NAMES if name not in made))


def password_of_env(file: Path) -> str | None:
    """Return K1_PASSWORD of a file of variables, which earlier releases used for every server; None without one."""
    if not file.is_file():
        return None
    found = _PASSWORD_IN_ENV.findall(file.read_text(encoding="utf-8"))
    return found[-1].strip("\"'") or None if found else None
