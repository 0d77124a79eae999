"""The table `artefacts`: which files each version has, and the content of small ones."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from k1_contracts.messages.catalogue.tracks import Artefact
from k1_contracts.tracks import ArtefactRef, ArtefactType
from k1_platform.postgres.pool import Connection

_COLUMNS: Final = "version, id, type, name, key, size_bytes, sha256, content_type, created_at, deleted_at"


@dataclass(frozen=True, slots=True)
class NewArtefact:
    """An artefact to be stored; `inline_json` is its text if it is a small JSON object."""

    ref: ArtefactRef
    inline_json: str | None


@dataclass(frozen=True, slots=True)
class StoredArtefact:
    """An artefact of a version, with its key in the object store."""

    version: int
    key: str
    artefact: Artefact


async def insert_artefacts(
    connection: Connection, track_id: str, version: int, artefacts: Sequence[NewArtefact], at: datetime
) -> None:
    """Add artefacts to a version."""
    await connection.executemany(
        """
        INSERT INTO catalogue.artefacts
            (track_id, version, id, type, name, key, size_bytes, sha256, content_type, inline_json, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        [(track_id, version, *_values(each), at) for each in artefacts],
    )


async def replace_artefacts(
    connection: Connection,
    track_id: str,
    version: int,
    artefacts: Sequence[NewArtefact],
    at: datetime,
    *,
    outdated: Sequence[ArtefactType] = (),
) -> None:
    """Replace the artefacts that have the same names, and remove those of the `outdated` types."""
    await connection.execute(
        """
        DELETE FROM catalogue.artefacts
        WHERE track_id = $1 AND version = $2 AND (name = ANY($3::text[]) OR type = ANY($4::text[]))
        """,
        track_id,
        version,
        [each.ref.name for each in artefacts],
        list(outdated),
    )
    await insert_artefacts(connection, track_id, version, artefacts, at)


async def artefacts_of_track(connection: Connection, track_id: str) -> list[StoredArtefact]:
    """Return the artefacts of all versions of a track, without their content."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS}, NULL AS inline_json FROM catalogue.artefacts"  # noqa: S608  a constant of ours
        " WHERE track_id = $1 ORDER BY id",
        track_id,
    )
    return [_stored_artefact(row) for row in rows]


async def artefacts_of_version(
    connection: Connection, track_id: str, version: int, *, inline: bool, deleted: bool = False
) -> list[StoredArtefact]:
    """Return the artefacts of one version; `inline` adds the content of the small ones, `deleted` the deleted ones."""
    content = "inline_json" if inline else "NULL AS inline_json"
    rows = await connection.fetch(
        f"SELECT {_COLUMNS}, {content} FROM catalogue.artefacts"  # noqa: S608  constants of ours
        " WHERE track_id = $1 AND version = $2 AND ($3 OR deleted_at IS NULL) ORDER BY id",
        track_id,
        version,
        deleted,
    )
    return [_stored_artefact(row) for row in rows]


async def artefact_of_version(
    connection: Connection, track_id: str, version: int, artefact_id: str
) -> StoredArtefact | None:
    """Return one artefact without its content, also a deleted one; None if there is no such artefact."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS}, NULL AS inline_json FROM catalogue.artefacts"  # noqa: S608  a constant of ours
        " WHERE track_id = $1 AND version = $2 AND id = $3",
        track_id,
        version,
        artefact_id,
    )
    return _stored_artefact(row) if row else None


def _values(new: NewArtefact) -> tuple[object, ...]:
    ref = new.ref
    identity = (ref.id, ref.type, ref.name, ref.key)
    return (*identity, ref.size_bytes, ref.sha256, ref.content_type, new.inline_json)


def _stored_artefact(row: asyncpg.Record) -> StoredArtefact:
    deleted = row["deleted_at"] is not None
    content = json.loads(row["inline_json"]) if row["inline_json"] and not deleted else None
    fields = {**row, "status": "deleted" if deleted else "present", "inline_json": content}
    return StoredArtefact(row["version"], row["key"], Artefact.model_validate(fields))
