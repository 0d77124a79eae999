"""The manifest of a backup: what it contains, with the size and the SHA-256 of each file.

It is written last, so a folder without one is no complete backup.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from k1_cli.errors import CommandError
from k1_platform.auth.secret_files import write_atomically

FORMAT: Final = 1
_NAME: Final = "manifest.json"
_CHECKSUM_NAME: Final = "manifest.sha256"
_NAMED_FAULTS: Final = 3


class StoredFile(BaseModel):
    """One file of the backup."""

    model_config = ConfigDict(frozen=True)

    path: str
    """Relative to the folder of the backup."""
    size: int
    sha256: str


class Counts(BaseModel):
    """How much there is, to compare with after a restore."""

    model_config = ConfigDict(frozen=True)

    streams: dict[str, int]
    """The number of messages of each stream, also those of buckets."""
    documents: dict[str, int]
    """The number of documents of each collection of MongoDB."""
    objects: int


class Manifest(BaseModel):
    """What a backup contains."""

    model_config = ConfigDict(frozen=True)

    format: int
    created_at: datetime
    k1_version: str
    nats_version: str
    postgres_version: str
    changes_refused_s: float
    """How long changes were refused while it was made."""
    took_s: float
    counts: Counts
    files: list[StoredFile]

    @property
    def total_bytes(self) -> int:
        """The size of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class BackupFolder:
    """The folder of one backup."""

    root: Path

    @property
    def bus(self) -> Path:
        """The archives of the streams."""
        return self.root / "nats"

    @property
    def database(self) -> Path:
        """The archive of PostgreSQL."""
        return self.root / "postgres.dump"

    @property
    def documents(self) -> Path:
        """A file of BSON for each collection of MongoDB."""
        return self.root / "mongo"

    @property
    def objects(self) -> Path:
        """The objects of the bucket, as files."""
        return self.root / "objects"

    @property
    def keys(self) -> Path:
        """The keys, and the other files of the home that belong to the installation."""
        return self.root / "keys"

    def create(self) -> None:
        """Make the folder, readable by its owner alone.

        Raises:
            CommandError: it holds something already, or cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if any(self.root.iterdir()):
                raise CommandError(f"{self.root} is not empty; name a folder that does not exist yet")
            self.root.chmod(0o700)
            for folder in (self.bus, self.documents, self.objects, self.keys):
                folder.mkdir()
        except OSError as error:
            raise CommandError(f"cannot write {self.root}: {error.strerror}; name another folder") from error

    def list_files(self) -> list[StoredFile]:
        """Return all files with their sizes and hashes."""
        return [
            StoredFile(path=str(path.relative_to(self.root)), size=path.stat().st_size, sha256=_hash(path))
            for path in sorted(self._paths())
        ]

    def _paths(self) -> Iterator[Path]:
        names = {self.root / _NAME, self.root / _CHECKSUM_NAME}
        return (path for path in self.root.rglob("*") if path.is_file() and path not in names)

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest, which completes the backup."""
        text = manifest.model_dump_json(indent=2)
        write_atomically(self.root / _CHECKSUM_NAME, hashlib.sha256(text.encode()).hexdigest() + "\n")
        write_atomically(self.root / _NAME, text)

    def read_manifest(self) -> Manifest:
        """Return the manifest, after comparing it with its checksum.

        Raises:
            CommandError: there is no complete backup here, it was changed, or a later release made it.
        """
        try:
            text = (self.root / _NAME).read_text()
            expected = (self.root / _CHECKSUM_NAME).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{self.root} holds no complete backup: it has no manifest") from error
        if hashlib.sha256(text.encode()).hexdigest() != expected:
            raise CommandError(f"the manifest of {self.root} was changed; use another copy of the backup")
        try:
            manifest = Manifest.model_validate_json(text)
        except ValidationError as error:
            raise CommandError(
                f"the manifest of {self.root} cannot be read by this release; use the one that made it"
            ) from error
        if manifest.format != FORMAT:
            raise CommandError(
                f"{self.root} has format {manifest.format} and this release reads format {FORMAT}; use the release "
                f"{manifest.k1_version}, which made it"
            )
        return manifest

    def verify(self, manifest: Manifest) -> None:
        """Compare every file with the manifest.

        Raises:
            CommandError: files are missing, were changed, or are not in the manifest.
        """
        there = {str(path.relative_to(self.root)) for path in self._paths()}
        listed = {file.path for file in manifest.files}
        faults = [f"{path} is not in the manifest" for path in sorted(there - listed)]
        faults += [
            f"{file.path} {fault}" for file in manifest.files if (fault := self._fault(file)) is not None
        ]
        if faults:
            left = len(faults) - _NAMED_FAULTS
            more = f", and {left} more" if left > 0 else ""
            raise CommandError(
                f"the backup {self.root} is damaged: {'; '.join(faults[:_NAMED_FAULTS])}{more}; use another copy of it"
            )

    def _fault(self, file: StoredFile) -> Literal["is missing", "has another size", "was changed"] | None:
        path = self.root / file.path
        if not path.is_file():
            return "is missing"
        if path.stat().st_size != file.size:
            return "has another size"
        return None if _hash(path) == file.sha256 else "was changed"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
