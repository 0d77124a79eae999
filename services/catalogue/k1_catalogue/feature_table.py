"""Statements for the table of feature vectors, and for its index where the server has pgvector.

A migration calls these functions: never change the statements, but write a new migration.
"""

from typing import Final

VECTOR_TYPE: Final = "vector(48)"
"""At least as long as a feature vector; vectors are filled up with zeros, which change no distance."""
INDEX_PARAMETERS: Final = "m = 16, ef_construction = 64"

TABLE: Final = (
    """
    CREATE TABLE catalogue.version_features (
        track_id text COLLATE "C" NOT NULL,
        version integer NOT NULL,
        features_version integer NOT NULL,
        features real[] NOT NULL,
        seq bigint GENERATED ALWAYS AS IDENTITY,
        PRIMARY KEY (track_id, version),
        FOREIGN KEY (track_id, version) REFERENCES catalogue.versions ON DELETE CASCADE
    )
    """,
    "CREATE INDEX version_features_seq ON catalogue.version_features (seq)",
)

ENABLE_VECTOR_INDEX: Final = f"""
    DO $$
    BEGIN
        CREATE EXTENSION IF NOT EXISTS vector;
        ALTER TABLE catalogue.version_features
            ADD COLUMN IF NOT EXISTS embedding {VECTOR_TYPE}
            GENERATED ALWAYS AS (features::{VECTOR_TYPE}) STORED;
        CREATE INDEX IF NOT EXISTS version_features_embedding ON catalogue.version_features
            USING hnsw (embedding vector_l2_ops) WITH ({INDEX_PARAMETERS});
    EXCEPTION
        WHEN feature_not_supported OR undefined_file OR insufficient_privilege THEN
            RAISE NOTICE 'no pgvector: similar songs are found without an index (%)', SQLERRM;
    END
    $$
"""
"""Adds the index where the extension is there and may be installed. May be run again."""
