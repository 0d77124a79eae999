"""Reads settings from the files of the folder K1_SECRETS_DIR, so that no secret need be in the environment.

Docker and Kubernetes mount a secret as a file. A file has the name of the variable that it stands for, such as
K1_POSTGRES_DSN, and its content is read as the variable's value would be, without white space around it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic_settings import EnvSettingsSource, SettingsError
from typing_extensions import override

SECRETS_FOLDER: Final = "K1_SECRETS_DIR"
"""The environment variable that names the folder."""


class SecretFilesSource(EnvSettingsSource):
    """Offers the content of the files as if each was an environment variable."""

    @override
    def _load_env_vars(self) -> Mapping[str, str | None]:
        folder = os.environ.get(SECRETS_FOLDER)
        if not folder:
            return {}
        return {name.lower(): text for name, text in read_secrets(Path(folder), os.environ).items()}


def read_secrets(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the content of each file of the folder by its name, which is in upper case; hidden files are left out.

    Raises:
        SettingsError: there is no such folder, a file cannot be read, or the environment has the variable too. It names
            the variable and never its value.
    """
    if not folder.is_dir():
        raise SettingsError(f"{SECRETS_FOLDER} names {folder}, and there is no such folder")
    # Kubernetes keeps the files themselves in hidden folders beside their links.
    files = [file for file in sorted(folder.iterdir()) if not file.name.startswith(".") and file.is_file()]
    if twice := [file.name for file in files if file.name in environment]:
        raise SettingsError(
            f"{', '.join(twice)}: both in the environment and in {folder}; remove one, so that it is clear which counts"
        )
    return {file.name: _read(file) for file in files}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{file.name} cannot be read from {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        # Without its cause, which shows a byte of the secret.
        raise SettingsError(f"{file.name} cannot be read from {file}: it is not UTF-8 text") from None
