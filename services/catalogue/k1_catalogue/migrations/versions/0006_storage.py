"""Soft deletion of artefacts, links to artefacts, objects that left the tables, and the cleanups."""

from alembic import op

revision = "0006"
down_revision = "0005"

_INDEXES = (
    "artefacts_key",
    "artefacts_deleted",
    "artefacts_size",
    "tracks_audio_key",
    "deployments_bundle_key",
)
UP = (
    "ALTER TABLE catalogue.artefacts ADD COLUMN deleted_at timestamptz, ADD COLUMN undo_sha256 text",
    "CREATE INDEX artefacts_key ON catalogue.artefacts (key)",
    "CREATE INDEX artefacts_deleted ON catalogue.artefacts (deleted_at) WHERE deleted_at IS NOT NULL",
    """
    CREATE TABLE catalogue.links (
        id text COLLATE "C" PRIMARY KEY,
        token_sha256 text NOT NULL UNIQUE,
        track_id text COLLATE "C" NOT NULL REFERENCES catalogue.tracks ON DELETE CASCADE,
        version integer NOT NULL,
        artefact_id text COLLATE "C" NOT NULL,
        name text NOT NULL,
        key text NOT NULL,
        size_bytes bigint NOT NULL,
        sha256 text NOT NULL,
        content_type text NOT NULL,
        owner_id text NOT NULL,
        owner_name text NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz,
        uses bigint NOT NULL DEFAULT 0,
        last_used_at timestamptz
    )
    """,
    "CREATE INDEX links_created ON catalogue.links (created_at DESC, id DESC)",
    "CREATE INDEX links_key ON catalogue.links (key)",
    "CREATE INDEX artefacts_size ON catalogue.artefacts (size_bytes DESC)",
    "CREATE INDEX tracks_audio_key ON catalogue.tracks ((audio ->> 'key'))",
    "CREATE INDEX deployments_bundle_key ON catalogue.deployments (('graphs/' || bundle_sha256 || '/bundle.k1b'))",
    # Everything that keeps an object in the store. A later table that refers to objects is added here.
    """
    CREATE VIEW catalogue.object_references (key, track_id, type, deleted_at, expires_at) AS
    SELECT audio ->> 'key', id, 'audio', NULL::timestamptz, NULL::timestamptz FROM catalogue.tracks
    UNION ALL
    SELECT key, track_id, type, deleted_at, NULL FROM catalogue.artefacts
    UNION ALL
    SELECT 'graphs/' || bundle_sha256 || '/bundle.k1b', track_id, 'bundle', NULL, NULL FROM catalogue.deployments
    WHERE bundle_sha256 IS NOT NULL
    UNION ALL
    SELECT key, track_id, 'link', NULL, expires_at FROM catalogue.links WHERE revoked_at IS NULL
    """,
    """
    CREATE TABLE catalogue.retired_objects (
        key text PRIMARY KEY,
        retired_at timestamptz NOT NULL
    )
    """,
    # An artefact may be replaced, or removed with its version: whatever removes the row, the time is kept.
    """
    CREATE FUNCTION catalogue.retire_object() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO catalogue.retired_objects (key, retired_at) VALUES (old.key, now())
        ON CONFLICT (key) DO UPDATE SET retired_at = excluded.retired_at;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER retire_object AFTER DELETE ON catalogue.artefacts
    FOR EACH ROW EXECUTE FUNCTION catalogue.retire_object()
    """,
    """
    CREATE TABLE catalogue.cleanups (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        objects bigint NOT NULL,
        bytes bigint NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE catalogue.cleanups")
    op.execute("DROP TRIGGER retire_object ON catalogue.artefacts")
    op.execute("DROP FUNCTION catalogue.retire_object()")
    op.execute("DROP TABLE catalogue.retired_objects")
    op.execute("DROP VIEW catalogue.object_references")
    op.execute("DROP TABLE catalogue.links")
    for index in _INDEXES:
        op.execute(f"DROP INDEX catalogue.{index}")
    op.execute("ALTER TABLE catalogue.artefacts DROP COLUMN deleted_at, DROP COLUMN undo_sha256")
