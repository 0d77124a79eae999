"""The trace in which each version was made, so that deployments of it can be linked to its upload."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE catalogue.analysis_traces (
            track_id text COLLATE "C" NOT NULL,
            version integer NOT NULL,
            traceparent text NOT NULL,
            PRIMARY KEY (track_id, version),
            FOREIGN KEY (track_id, version) REFERENCES catalogue.versions ON DELETE CASCADE
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE catalogue.analysis_traces")
