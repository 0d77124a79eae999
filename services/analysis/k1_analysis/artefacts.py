"""Describes the files that an analysis or a graph run produced, and where they are stored. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from k1_contracts.tracks import AnalysisSummary, ArtefactType, Notice, StoredFile

MANIFEST: Final = "manifest.json"
FILES_REVISION: Final = 2
"""Raised when an analysis writes another set of files, so that no analysis with the old set is reused."""

CONTENT_TYPES: Final[Mapping[str, str]] = {
    ".json": "application/json",
    ".png": "image/png",
    ".bin": "application/octet-stream",
    ".dat": "application/octet-stream",
    ".k1b": "application/cbor",
}


@dataclass(frozen=True, slots=True)
class ArtefactFile:
    """A file that a worker process wrote into its scratch folder."""

    type: ArtefactType
    name: str
    size_bytes: int
    sha256: str

    def stored(self, prefix: str) -> StoredFile:
        """Return the description of the file after it was stored under this prefix of the object store."""
        return StoredFile(
            type=self.type,
            name=self.name,
            key=f"{prefix}/{self.name}",
            size_bytes=self.size_bytes,
            sha256=self.sha256,
            content_type=content_type(self.name),
        )


@dataclass(frozen=True, slots=True)
class AnalysisArtefacts:
    """Everything that one analysis produced. Jobs with the same audio and configuration share it."""

    files: tuple[ArtefactFile, ...]
    summary: AnalysisSummary
    warnings: tuple[Notice, ...]

    def to_json(self) -> bytes:
        """Return the manifest. It is stored last, so a stored manifest means that all its files are stored."""
        return json.dumps(
            {
                "files": [
                    {"type": f.type, "name": f.name, "size_bytes": f.size_bytes, "sha256": f.sha256}
                    for f in self.files
                ],
                "summary": self.summary.model_dump(mode="json"),
                "warnings": [notice.model_dump(mode="json") for notice in self.warnings],
            }
        ).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "AnalysisArtefacts":
        """Return the artefacts that a manifest lists."""
        data = json.loads(text)
        return cls(
            files=tuple(ArtefactFile(**item) for item in data["files"]),
            summary=AnalysisSummary.model_validate(data["summary"]),
            warnings=tuple(Notice.model_validate(item) for item in data["warnings"]),
        )


def artefact_prefix(audio_sha256: str, engine: str, config: Mapping[str, Any]) -> str:
    """Return the prefix of the artefacts; the same audio, engine and configuration share one prefix."""
    identity = json.dumps([audio_sha256, engine, config], sort_keys=True, separators=(",", ":"))
    return f"artefacts/{sha256(identity.encode()).hexdigest()}"


def describe_file(path: Path, kind: ArtefactType) -> ArtefactFile:
    """Return the name, size and hash of a file that exists."""
    data = path.read_bytes()
    return ArtefactFile(kind, path.name, len(data), sha256(data).hexdigest())


def content_type(name: str) -> str:
    """Return the media type of an artefact."""
    return CONTENT_TYPES[Path(name).suffix]
