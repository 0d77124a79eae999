"""The table of graph revisions: the recommended graph of a version and its edits."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE catalogue.graphs (
            track_id text COLLATE "C" NOT NULL,
            version integer NOT NULL,
            revision integer NOT NULL,
            source text NOT NULL CHECK (source IN ('recommended', 'edited')),
            document json NOT NULL,
            etag text NOT NULL,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (track_id, version, revision),
            FOREIGN KEY (track_id, version) REFERENCES catalogue.versions ON DELETE CASCADE
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE catalogue.graphs")
