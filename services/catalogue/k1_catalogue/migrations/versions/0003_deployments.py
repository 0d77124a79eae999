"""The table of the deployments of tracks."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE catalogue.deployments (
            id text COLLATE "C" PRIMARY KEY,
            track_id text COLLATE "C" NOT NULL REFERENCES catalogue.tracks ON DELETE CASCADE,
            version integer NOT NULL,
            status text NOT NULL,
            paused boolean NOT NULL,
            bundle_sha256 text,
            total integer NOT NULL,
            counts jsonb NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            reason text,
            reason_at timestamptz
        )
        """
    )
    op.execute("CREATE INDEX deployments_track ON catalogue.deployments (track_id, created_at DESC, id DESC)")


def downgrade() -> None:
    op.execute("DROP TABLE catalogue.deployments")
