"""The table of versions that people made by setting beats. Such a version has no job."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("ALTER TABLE catalogue.versions ALTER COLUMN job_id DROP NOT NULL")
    op.execute(
        """
        CREATE TABLE catalogue.beat_edits (
            track_id text COLLATE "C" NOT NULL,
            version integer NOT NULL,
            base_version integer NOT NULL,
            previous_version integer NOT NULL,
            removed boolean NOT NULL,
            author jsonb NOT NULL,
            created_at timestamptz NOT NULL,
            changes json NOT NULL,
            note text,
            f_measure double precision,
            cemgil double precision,
            idempotency_key text,
            request_sha256 text NOT NULL,
            PRIMARY KEY (track_id, version),
            FOREIGN KEY (track_id, version) REFERENCES catalogue.versions ON DELETE CASCADE,
            UNIQUE (track_id, idempotency_key)
        )
        """
    )
    op.execute("CREATE INDEX beat_edits_line ON catalogue.beat_edits (track_id, base_version, version)")
    op.execute(
        """
        CREATE TRIGGER record_beat_edits AFTER INSERT OR UPDATE OR DELETE ON catalogue.beat_edits
        FOR EACH ROW EXECUTE FUNCTION catalogue.record_change('beat_edits', 'track_id', 'version')
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE catalogue.beat_edits")
    op.execute("DELETE FROM catalogue.versions WHERE job_id IS NULL")
    op.execute("ALTER TABLE catalogue.versions ALTER COLUMN job_id SET NOT NULL")
