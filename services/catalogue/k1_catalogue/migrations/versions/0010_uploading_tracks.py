"""Tracks whose song is on its way have no audio, and refer to no object."""

from alembic import op

revision = "0010"
down_revision = "0009"

_AUDIO = "SELECT audio ->> 'key', id, 'audio', NULL::timestamptz, NULL::timestamptz FROM catalogue.tracks"
_OTHERS = """
    SELECT key, track_id, type, deleted_at, NULL FROM catalogue.artefacts
    UNION ALL
    SELECT 'graphs/' || bundle_sha256 || '/bundle.k1b', track_id, 'bundle', NULL, NULL FROM catalogue.deployments
    WHERE bundle_sha256 IS NOT NULL
    UNION ALL
    SELECT key, track_id, 'link', NULL, expires_at FROM catalogue.links WHERE revoked_at IS NULL
"""


def _replace_view(audio: str) -> None:
    op.execute(
        "CREATE OR REPLACE VIEW catalogue.object_references (key, track_id, type, deleted_at, expires_at) AS"
        f" {audio} UNION ALL {_OTHERS}"
    )


def upgrade() -> None:
    """Allow the absence. The song lies in `uploads/` until it is there; a cleanup does not look into that folder."""
    op.execute("ALTER TABLE catalogue.tracks ALTER COLUMN audio DROP NOT NULL")
    _replace_view(f"{_AUDIO} WHERE audio IS NOT NULL")


def downgrade() -> None:
    """Remove such tracks."""
    op.execute("DELETE FROM catalogue.tracks WHERE audio IS NULL")
    op.execute("SET CONSTRAINTS ALL IMMEDIATE")
    _replace_view(_AUDIO)
    op.execute("ALTER TABLE catalogue.tracks ALTER COLUMN audio SET NOT NULL")
