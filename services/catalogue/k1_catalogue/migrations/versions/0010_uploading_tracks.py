"""Tracks whose song is on its way: the status `uploading`, and no audio yet."""

from alembic import op

revision = "0010"
down_revision = "0009"

_STATUSES = "'uploading', 'processing', 'ready', 'warning', 'failed', 'deleted'"


def upgrade() -> None:
    """Allow the status and the absence."""
    op.execute("ALTER TABLE catalogue.tracks DROP CONSTRAINT tracks_status_check")
    op.execute(
        f"ALTER TABLE catalogue.tracks ADD CONSTRAINT tracks_status_check CHECK (status IN ({_STATUSES}))"
    )
    op.execute("ALTER TABLE catalogue.tracks ALTER COLUMN audio DROP NOT NULL")


def downgrade() -> None:
    """Remove such tracks."""
    op.execute("DELETE FROM catalogue.tracks WHERE status = 'uploading'")
    op.execute("ALTER TABLE catalogue.tracks ALTER COLUMN audio SET NOT NULL")
