"""Which tracks have a small copy of their audio, and where it lies."""

from k1_contracts.messages.catalogue.media import AudioCopied
from k1_platform.postgres.pool import Connection


async def find_copy(connection: Connection, track_id: str) -> AudioCopied | None:
    """Return the copy of a track; None if none was made."""
    row = await connection.fetchrow(
        "SELECT key, size_bytes, sha256 FROM catalogue.audio_copies WHERE track_id = $1", track_id
    )
    return row and AudioCopied(**dict(row))


async def save_copy(connection: Connection, track_id: str, copy: AudioCopied) -> None:
    """Record a copy. That of a track which was purged meanwhile is left to the cleanup."""
    await connection.execute(
        """
        INSERT INTO catalogue.audio_copies (track_id, key, size_bytes, sha256)
        SELECT id, $2, $3, $4 FROM catalogue.tracks WHERE id = $1 FOR KEY SHARE
        ON CONFLICT (track_id) DO UPDATE SET size_bytes = excluded.size_bytes, sha256 = excluded.sha256
        """,
        track_id,
        copy.key,
        copy.size_bytes,
        copy.sha256,
    )
