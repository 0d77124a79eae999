"""The graphs of versions and their artefacts in the database: one function a question or change."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_catalogue.store import StoredArtefact, insert_artefacts
from k1_contracts.messages.graphs import GraphSource
from k1_contracts.tracks import ArtefactType
from k1_platform.database import Connection

_GRAPH: Final = "revision, source, document, etag, created_at"
_ETAG_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class StoredGraph:
    """One revision of a version's graph; `document` is JSON text."""

    revision: int
    source: GraphSource
    document: str
    etag: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Baseline:
    """The graph that another is compared with, and what to call it."""

    document: str
    name: str


def first_graph(document: str, at: datetime) -> StoredGraph:
    """The recommended graph of a version."""
    return StoredGraph(1, "recommended", document, entity_tag(document), at)


def next_graph(current: StoredGraph | None, document: str, at: datetime) -> StoredGraph:
    """An edit."""
    revision = current.revision + 1 if current else 1
    return StoredGraph(revision, "edited", document, entity_tag(document), at)


def entity_tag(document: str) -> str:
    """The same document, the same tag."""
    return hashlib.sha256(document.encode()).hexdigest()[:_ETAG_DIGITS]


async def current_graph(connection: Connection, track_id: str, version: int) -> StoredGraph | None:
    """The graph that a version has now; None when it has none."""
    row = await connection.fetchrow(
        f"SELECT {_GRAPH} FROM catalogue.graphs"  # noqa: S608  a constant of ours
        " WHERE track_id = $1 AND version = $2 ORDER BY revision DESC LIMIT 1",
        track_id,
        version,
    )
    return StoredGraph(**row) if row else None


async def baseline(connection: Connection, track_id: str, version: int) -> Baseline | None:
    """What a graph of this version is compared with: the last earlier version's, else its own first one."""
    row = await connection.fetchrow(
        """
        SELECT version, document FROM catalogue.graphs WHERE track_id = $1 AND version < $2
        ORDER BY version DESC, revision DESC LIMIT 1
        """,
        track_id,
        version,
    )
    if row:
        return Baseline(row["document"], f"version {row['version']}")
    document = await connection.fetchval(
        "SELECT document FROM catalogue.graphs WHERE track_id = $1 AND version = $2 AND revision = 1",
        track_id,
        version,
    )
    return Baseline(document, "the first graph of this version") if document else None


async def insert_graph(connection: Connection, track_id: str, version: int, graph: StoredGraph) -> None:
    """Add a revision."""
    await connection.execute(
        """
        INSERT INTO catalogue.graphs (track_id, version, revision, source, document, etag, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        track_id,
        version,
        graph.revision,
        graph.source,
        graph.document,
        graph.etag,
        graph.created_at,
    )


async def replace_artefacts(
    connection: Connection,
    track_id: str,
    version: int,
    artefacts: Sequence[StoredArtefact],
    at: datetime,
    *,
    outdated: Sequence[ArtefactType] = (),
) -> None:
    """Put these in the place of those of the same names, and take away the `outdated` ones."""
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


async def touch_track(connection: Connection, track_id: str, at: datetime) -> None:
    """The track was changed now."""
    await connection.execute(
        "UPDATE catalogue.tracks SET updated_at = greatest(updated_at, $2) WHERE id = $1", track_id, at
    )
