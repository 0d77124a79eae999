"""The tables of tracks, versions, jobs, artefacts, audit, totals, inbox and outbox."""

from alembic import op

from k1_platform.postgres.message_tables import MESSAGE_TABLES, message_table_statements

revision = "0001"
down_revision = None

TABLES = (*MESSAGE_TABLES, "totals", "audit", "artefacts", "jobs", "versions", "tracks")

UP = (
    """
    CREATE TABLE catalogue.tracks (
        id text COLLATE "C" PRIMARY KEY,
        title text NOT NULL,
        artist text,
        tags text[] NOT NULL,
        preset text,
        filename text NOT NULL,
        audio jsonb NOT NULL,
        status text NOT NULL CHECK (status IN ('processing', 'ready', 'warning', 'failed')),
        current_version integer,
        duration_ms double precision,
        bpm double precision,
        f_measure double precision,
        search tsvector NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX tracks_created ON catalogue.tracks (created_at, id)",
    "CREATE INDEX tracks_status ON catalogue.tracks (status, created_at, id)",
    "CREATE INDEX tracks_preset ON catalogue.tracks (preset, created_at, id)",
    "CREATE INDEX tracks_f_measure ON catalogue.tracks (coalesce(f_measure, -1), id)",
    "CREATE INDEX tracks_duration ON catalogue.tracks (coalesce(duration_ms, -1), id)",
    # Failed tracks have no figures, so without these indexes a query for them would scan the two above to the end.
    "CREATE INDEX tracks_status_f_measure ON catalogue.tracks (status, coalesce(f_measure, -1), id)",
    "CREATE INDEX tracks_status_duration ON catalogue.tracks (status, coalesce(duration_ms, -1), id)",
    # Without fastupdate a search never reads a list of entries that are not merged yet.
    "CREATE INDEX tracks_search ON catalogue.tracks USING gin (search) WITH (fastupdate = off)",
    """
    CREATE TABLE catalogue.versions (
        track_id text COLLATE "C" NOT NULL REFERENCES catalogue.tracks ON DELETE CASCADE,
        version integer NOT NULL,
        job_id text COLLATE "C" NOT NULL UNIQUE,
        status text NOT NULL CHECK (status IN ('processing', 'ready', 'warning', 'failed')),
        engine text,
        summary jsonb,
        warnings jsonb NOT NULL DEFAULT '[]',
        map_sha256 text,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (track_id, version)
    )
    """,
    """
    CREATE TABLE catalogue.jobs (
        id text COLLATE "C" PRIMARY KEY,
        track_id text COLLATE "C" NOT NULL,
        version integer NOT NULL,
        status text NOT NULL CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled')),
        priority integer NOT NULL,
        preset text,
        audio_ms double precision,
        attempt integer NOT NULL DEFAULT 0,
        worker_id text,
        engine text,
        error jsonb,
        elapsed_ms double precision,
        reused boolean NOT NULL DEFAULT false,
        idempotency_key text,
        accepted jsonb,
        created_at timestamptz NOT NULL,
        started_at timestamptz,
        ended_at timestamptz,
        FOREIGN KEY (track_id, version) REFERENCES catalogue.versions ON DELETE CASCADE,
        UNIQUE (track_id, version),
        UNIQUE (track_id, idempotency_key)
    )
    """,
    "CREATE INDEX jobs_created ON catalogue.jobs (created_at, id)",
    "CREATE INDEX jobs_status ON catalogue.jobs (status, created_at, id)",
    "CREATE INDEX jobs_waiting ON catalogue.jobs (priority DESC, created_at, id) WHERE status = 'queued'",
    "CREATE INDEX jobs_measured ON catalogue.jobs (ended_at) WHERE status = 'completed' AND NOT reused",
    """
    CREATE TABLE catalogue.artefacts (
        track_id text COLLATE "C" NOT NULL,
        version integer NOT NULL,
        id text COLLATE "C" NOT NULL,
        type text NOT NULL,
        name text NOT NULL,
        key text NOT NULL,
        size_bytes bigint NOT NULL,
        sha256 text NOT NULL,
        content_type text NOT NULL,
        inline_json json,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (track_id, version, id),
        FOREIGN KEY (track_id, version) REFERENCES catalogue.versions ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE catalogue.audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        track_id text COLLATE "C" NOT NULL,
        job_id text COLLATE "C",
        at timestamptz NOT NULL,
        actor text NOT NULL,
        action text NOT NULL,
        detail text
    )
    """,
    "CREATE INDEX audit_track ON catalogue.audit (track_id, id)",
    "CREATE INDEX audit_job ON catalogue.audit (job_id, id)",
    """
    CREATE TABLE catalogue.totals (
        kind text NOT NULL,
        status text NOT NULL,
        preset text NOT NULL,
        n bigint NOT NULL,
        PRIMARY KEY (kind, status, preset)
    )
    """,
    """
    CREATE FUNCTION catalogue.count_row() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO catalogue.totals AS t (kind, status, preset, n)
        SELECT TG_TABLE_NAME, status, preset, sum(delta)
        FROM (
            SELECT new.status, coalesce(new.preset, '') AS preset, 1 AS delta WHERE TG_OP <> 'DELETE'
            UNION ALL
            SELECT old.status, coalesce(old.preset, ''), -1 WHERE TG_OP <> 'INSERT'
        ) AS change (status, preset, delta)
        GROUP BY status, preset
        HAVING sum(delta) <> 0
        ORDER BY status, preset
        ON CONFLICT (kind, status, preset) DO UPDATE SET n = t.n + excluded.n;
        RETURN NULL;
    END
    $$
    """,
    # Deferred to the commit, so that the few rows of totals are locked only briefly.
    *(
        f"""
        CREATE CONSTRAINT TRIGGER count_{table} AFTER INSERT OR DELETE OR UPDATE OF status, preset
        ON catalogue.{table} DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION catalogue.count_row()
        """
        for table in ("tracks", "jobs")
    ),
    *message_table_statements("catalogue"),
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE catalogue.{table}")
    op.execute("DROP FUNCTION catalogue.count_row()")
