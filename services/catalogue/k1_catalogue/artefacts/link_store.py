"""The table `links`: links to artefacts, of whose tokens it holds a hash."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from k1_contracts.messages.catalogue.storage import Link
from k1_platform.postgres.pool import Connection

_COLUMNS: Final = """
    id, track_id, version, artefact_id, name, size_bytes, owner_id, owner_name, created_at, expires_at, uses,
    last_used_at, key, sha256, content_type, revoked_at
"""


@dataclass(frozen=True, slots=True)
class StoredLink:
    """A link and the object behind it. It serves the content for which it was made."""

    link: Link
    key: str
    sha256: str
    content_type: str
    revoked_at: datetime | None


async def insert_link(connection: Connection, new: StoredLink, token_sha256: str) -> None:
    """Add a link."""
    link = new.link
    await connection.execute(
        """
        INSERT INTO catalogue.links (id, token_sha256, track_id, version, artefact_id, name, key, size_bytes, sha256,
            content_type, owner_id, owner_name, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        """,
        link.id,
        token_sha256,
        link.track_id,
        link.version,
        link.artefact_id,
        link.name,
        new.key,
        link.size_bytes,
        new.sha256,
        new.content_type,
        link.owner_id,
        link.owner_name,
        link.created_at,
        link.expires_at,
    )


async def find_link(connection: Connection, *, token_sha256: str) -> StoredLink | None:
    """Return the link of a token."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM catalogue.links WHERE token_sha256 = $1",  # noqa: S608  a constant of ours
        token_sha256,
    )
    return _stored_link(row) if row else None


async def lock_link(connection: Connection, link_id: str, token_sha256: str) -> StoredLink | None:
    """Return the link with this id or token, locked until the end of the transaction."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM catalogue.links"  # noqa: S608  a constant of ours
        " WHERE id = $1 OR token_sha256 = $2 FOR UPDATE",
        link_id,
        token_sha256,
    )
    return _stored_link(row) if row else None


async def list_links(
    connection: Connection, *, owner_id: str | None, now: datetime, before_id: str | None, limit: int
) -> list[Link]:
    """Return the links that work, newest first: those of an owner, or all."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM catalogue.links"  # noqa: S608  a constant of ours
        " WHERE revoked_at IS NULL AND expires_at > $1 AND ($2::text IS NULL OR owner_id = $2)"
        " AND ($3::text IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
        now,
        owner_id,
        before_id,
        limit,
    )
    return [_stored_link(row).link for row in rows]


async def count_links(connection: Connection, *, owner_id: str | None, now: datetime) -> int:
    """Return how many links work."""
    total = await connection.fetchval(
        """
        SELECT count(*) FROM catalogue.links
        WHERE revoked_at IS NULL AND expires_at > $1 AND ($2::text IS NULL OR owner_id = $2)
        """,
        now,
        owner_id,
    )
    return total or 0


async def count_use(connection: Connection, link_id: str, at: datetime) -> None:
    """Record that the content of a link was requested."""
    await connection.execute(
        "UPDATE catalogue.links SET uses = uses + 1, last_used_at = $2 WHERE id = $1", link_id, at
    )


async def revoke_link(connection: Connection, link_id: str, at: datetime) -> None:
    """Record that a link works no longer."""
    await connection.execute("UPDATE catalogue.links SET revoked_at = $2 WHERE id = $1", link_id, at)


def _stored_link(row: asyncpg.Record) -> StoredLink:
    return StoredLink(
        Link.model_validate({**row}), row["key"], row["sha256"], row["content_type"], row["revoked_at"]
    )
