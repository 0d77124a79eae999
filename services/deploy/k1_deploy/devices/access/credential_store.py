"""Stores the public keys of issued and revoked credentials, never a secret."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from k1_platform.postgres.pool import Connection


async def insert_credentials(connection: Connection, public_keys: Mapping[str, str], at: datetime) -> None:
    """Store the public keys of new credentials, by device."""
    await connection.execute(
        "INSERT INTO deploy.credentials (device_id, public_key, issued_at)"
        " SELECT device_id, public_key, $3 FROM unnest($1::text[], $2::text[]) AS c (device_id, public_key)",
        list(public_keys),
        list(public_keys.values()),
        at,
    )


async def revoke_credentials(connection: Connection, device_ids: Sequence[str], at: datetime) -> None:
    """Mark all credentials of these devices as revoked."""
    await connection.execute(
        "UPDATE deploy.credentials SET revoked_at = $2"
        " WHERE device_id = ANY($1::text[]) AND revoked_at IS NULL",
        list(device_ids),
        at,
    )


async def lock_revoked_keys(connection: Connection) -> list[str]:
    """Return the public keys of all revoked credentials; other processes wait until this transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('deploy.credentials'))")
    rows = await connection.fetch(
        "SELECT public_key FROM deploy.credentials WHERE revoked_at IS NOT NULL ORDER BY public_key"
    )
    return [row["public_key"] for row in rows]
