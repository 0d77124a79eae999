"""Small copies of large songs. A copy belongs to its track: a purge removes it, a cleanup keeps it."""

from alembic import op

revision = "0013"
down_revision = "0012"

_BEFORE = """
    SELECT audio ->> 'key', id, 'audio', NULL::timestamptz, NULL::timestamptz FROM catalogue.tracks
    WHERE audio IS NOT NULL
    UNION ALL
    SELECT key, track_id, type, deleted_at, NULL FROM catalogue.artefacts
    UNION ALL
    SELECT 'graphs/' || bundle_sha256 || '/bundle.k1b', track_id, 'bundle', NULL, NULL FROM catalogue.deployments
    WHERE bundle_sha256 IS NOT NULL
    UNION ALL
    SELECT key, track_id, 'link', NULL, expires_at FROM catalogue.links WHERE revoked_at IS NULL
"""
_COPIES = "UNION ALL SELECT key, track_id, 'audio_copy', NULL, NULL FROM catalogue.audio_copies"


def _replace_view(rows: str) -> None:
    op.execute(
        f"CREATE OR REPLACE VIEW catalogue.object_references (key, track_id, type, deleted_at, expires_at) AS {rows}"
    )


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE catalogue.audio_copies (
            track_id text PRIMARY KEY REFERENCES catalogue.tracks (id) ON DELETE CASCADE,
            key text NOT NULL,
            size_bytes bigint NOT NULL,
            sha256 text NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX audio_copies_key ON catalogue.audio_copies (key)")
    _replace_view(_BEFORE + _COPIES)


def downgrade() -> None:
    _replace_view(_BEFORE)
    op.execute("DROP TABLE catalogue.audio_copies")
