"""The events of tracks in place of the audit table; editing, deleting and purging; indexes of the new sorts and filters.

The title keys of existing tracks are approximate until `python -m k1_catalogue.rebuild` has run.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

_SERVICE = """'{"kind": "service", "id": "catalogue", "name": "service:catalogue"}'::jsonb"""
_STATUSES = "'uploading', 'processing', 'ready', 'warning', 'failed'"
_LISTED = "WHERE status <> 'deleted'"
_SORTS = {
    "created": "created_at",
    "f_measure": "coalesce(f_measure, -1)",
    "duration": "coalesce(duration_ms, -1)",
    "bpm": "coalesce(bpm, -1)",
    "title": "title_key",
}
_NEW_SORTS = ("bpm", "title")

COLUMNS = """
    ALTER TABLE catalogue.tracks
        ADD COLUMN notes text,
        ADD COLUMN revision bigint NOT NULL DEFAULT 1,
        ADD COLUMN chosen_version integer,
        ADD COLUMN chosen_before integer,
        ADD COLUMN deleted_at timestamptz,
        ADD COLUMN purge_started_at timestamptz,
        ADD COLUMN title_key text COLLATE "C" NOT NULL DEFAULT ''
"""
EVENTS = (
    """
    CREATE TABLE catalogue.track_events (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        track_id text COLLATE "C" NOT NULL,
        at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        actor jsonb NOT NULL,
        action text NOT NULL,
        before jsonb,
        after jsonb,
        job_id text COLLATE "C",
        detail text
    )
    """,
    "CREATE INDEX track_events_track ON catalogue.track_events (track_id, id)",
    "CREATE INDEX track_events_job ON catalogue.track_events (job_id, id) WHERE job_id IS NOT NULL",
    # The changes of a transaction until its events are written: no row survives a commit.
    """
    CREATE UNLOGGED TABLE catalogue.track_changes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
        track_id text COLLATE "C" NOT NULL,
        entity text NOT NULL,
        key text NOT NULL,
        before jsonb,
        after jsonb
    )
    """,
    "CREATE INDEX track_changes_transaction ON catalogue.track_changes (transaction, track_id)",
)
FUNCTIONS = (
    # Keeps the changed columns of a row of tracks, versions or jobs; derived columns are left out.
    """
    CREATE FUNCTION catalogue.record_change() RETURNS trigger LANGUAGE plpgsql SET timezone = 'UTC' AS $$
    DECLARE
        old_row jsonb;
        new_row jsonb;
        changed text[];
        of_track text;
        row_key text;
    BEGIN
        IF TG_OP <> 'INSERT' THEN old_row := to_jsonb(old) - '{search,title_key}'::text[]; END IF;
        IF TG_OP <> 'DELETE' THEN new_row := to_jsonb(new) - '{search,title_key}'::text[]; END IF;
        of_track := coalesce(new_row, old_row) ->> TG_ARGV[1];
        row_key := coalesce(new_row, old_row) ->> TG_ARGV[2];
        IF current_setting('catalogue.purged_track', true) = of_track THEN RETURN NULL; END IF;
        IF TG_OP = 'UPDATE' THEN
            SELECT array_agg(name) INTO changed FROM jsonb_object_keys(new_row) AS name
            WHERE new_row -> name IS DISTINCT FROM old_row -> name;
            IF changed IS NULL THEN RETURN NULL; END IF;
            SELECT jsonb_object_agg(name, old_row -> name), jsonb_object_agg(name, new_row -> name)
            INTO old_row, new_row FROM unnest(changed) AS name;
        END IF;
        INSERT INTO catalogue.track_changes (track_id, entity, key, before, after)
        VALUES (of_track, TG_ARGV[0], row_key, old_row, new_row);
        RETURN NULL;
    END
    $$
    """,
    # Writes an event for a change that no code has described by the end of its transaction.
    f"""
    CREATE FUNCTION catalogue.record_rest() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE change catalogue.track_changes;
    BEGIN
        DELETE FROM catalogue.track_changes WHERE id = new.id RETURNING * INTO change;
        IF change.id IS NULL THEN RETURN NULL; END IF;
        INSERT INTO catalogue.track_events (track_id, at, actor, action, before, after)
        VALUES (change.track_id, clock_timestamp(), {_SERVICE}, 'changed',
                catalogue.row_image(change.entity, change.key, change.before),
                catalogue.row_image(change.entity, change.key, change.after));
        RETURN NULL;
    END
    $$
    """,  # noqa: S608  constants of ours
    """
    CREATE FUNCTION catalogue.row_image(entity text, key text, content jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE entity WHEN 'track' THEN jsonb_build_object('track', content)
               ELSE jsonb_build_object(entity, jsonb_build_object(key, content)) END
    $$
    """,
    # A purge sets catalogue.purged_track to the track whose events it may delete.
    """
    CREATE FUNCTION catalogue.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('catalogue.purged_track', true) = old.track_id THEN RETURN old; END IF;
        RAISE EXCEPTION 'events of tracks are never changed or deleted, but by a purge';
    END
    $$
    """,
)
TRIGGERS = (
    *(
        f"""
        CREATE TRIGGER record_{table} AFTER INSERT OR UPDATE OR DELETE ON catalogue.{table}
        FOR EACH ROW EXECUTE FUNCTION catalogue.record_change('{entity}', '{track}', '{key}')
        """
        for table, entity, track, key in (
            ("tracks", "track", "id", "id"),
            ("versions", "versions", "track_id", "version"),
            ("jobs", "jobs", "track_id", "id"),
        )
    ),
    """
    CREATE CONSTRAINT TRIGGER record_rest AFTER INSERT ON catalogue.track_changes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION catalogue.record_rest()
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON catalogue.track_events
    FOR EACH ROW EXECUTE FUNCTION catalogue.refuse_change()
    """,
)
# The audit rows become events, and one more event holds each track as it is now: histories begin there.
COPY_AUDIT = (
    """
    INSERT INTO catalogue.track_events (track_id, at, recorded_at, actor, action, job_id, detail)
    SELECT track_id, at, at,
           CASE actor WHEN 'person' THEN '{"kind": "local", "id": "local", "name": "local"}'::jsonb
           ELSE jsonb_build_object('kind', 'service', 'id', actor, 'name', 'service:' || actor) END,
           action, job_id, detail
    FROM catalogue.audit ORDER BY id
    """,
    f"""
    INSERT INTO catalogue.track_events (track_id, at, actor, action, before, after)
    SELECT t.id, now(), {_SERVICE}, 'recorded', '{{"track": null}}', jsonb_build_object(
        'track', to_jsonb(t) - '{{search,title_key}}'::text[],
        'versions', coalesce((SELECT jsonb_object_agg(v.version::text, to_jsonb(v))
                              FROM catalogue.versions AS v WHERE v.track_id = t.id), '{{}}'),
        'jobs', coalesce((SELECT jsonb_object_agg(j.id, to_jsonb(j))
                          FROM catalogue.jobs AS j WHERE j.track_id = t.id), '{{}}'))
    FROM catalogue.tracks AS t ORDER BY t.created_at, t.id
    """,  # noqa: S608  constants of ours
)
LISTS = (
    "DROP INDEX catalogue.tracks_created, catalogue.tracks_f_measure, catalogue.tracks_duration",
    *(
        f"CREATE INDEX tracks_{name} ON catalogue.tracks ({key}, id) {_LISTED}"
        for name, key in _SORTS.items()
    ),
    # Of the column alone, so that a range of figures is counted in the index.
    f"CREATE INDEX tracks_f_measure_range ON catalogue.tracks (f_measure) {_LISTED}",
    "CREATE INDEX tracks_status_f_measure_range ON catalogue.tracks (status, f_measure)",
    *(
        f"CREATE INDEX tracks_status_{name} ON catalogue.tracks (status, {_SORTS[name]}, id)"
        for name in _NEW_SORTS
    ),
    "CREATE INDEX tracks_tags ON catalogue.tracks USING gin (tags) WITH (fastupdate = off)",
    "CREATE INDEX tracks_deleted ON catalogue.tracks (deleted_at) WHERE deleted_at IS NOT NULL",
)
OTHER_TABLES = (
    """
    CREATE TABLE catalogue.undo_tokens (
        track_id text COLLATE "C" NOT NULL REFERENCES catalogue.tracks ON DELETE CASCADE,
        token_sha256 text NOT NULL,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (track_id, token_sha256)
    )
    """,
    """
    CREATE TABLE catalogue.batches (
        key text PRIMARY KEY,
        request_sha256 text NOT NULL,
        result jsonb,
        created_at timestamptz NOT NULL
    )
    """,
)
AUDIT = (
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
    INSERT INTO catalogue.audit (track_id, job_id, at, actor, action, detail)
    SELECT track_id, job_id, at, actor ->> 'id', action, detail FROM catalogue.track_events ORDER BY id
    """,
)


def upgrade() -> None:
    """Keep every row: audit entries become events."""
    for statement in (
        "SET LOCAL timezone = 'UTC'",
        COLUMNS,
        "UPDATE catalogue.tracks SET title_key = lower(left(title, 40))",
        "ALTER TABLE catalogue.tracks ALTER COLUMN title_key DROP DEFAULT",
        *_status_check(f"{_STATUSES}, 'deleted'"),
        *EVENTS,
        *COPY_AUDIT,
        "DROP TABLE catalogue.audit",
        *FUNCTIONS,
        *TRIGGERS,
        *LISTS,
        *OTHER_TABLES,
    ):
        op.execute(statement)


def downgrade() -> None:
    """Remove deleted tracks and what the events know more than audit entries."""
    tables = ("batches", "undo_tokens", "track_changes", "track_events")
    for statement in (
        *(f"DROP TRIGGER record_{table} ON catalogue.{table}" for table in ("tracks", "versions", "jobs")),
        "DELETE FROM catalogue.tracks WHERE status IN ('deleted', 'uploading')",
        "SET CONSTRAINTS ALL IMMEDIATE",
        *AUDIT,
        *(f"DROP TABLE catalogue.{table}" for table in tables),
        "DROP FUNCTION catalogue.record_change, catalogue.record_rest, catalogue.row_image, catalogue.refuse_change",
        "DROP INDEX catalogue.tracks_tags, catalogue.tracks_deleted",
        *(f"DROP INDEX catalogue.tracks_{name}" for name in _SORTS),
        "DROP INDEX catalogue.tracks_f_measure_range, catalogue.tracks_status_f_measure_range",
        *(f"DROP INDEX catalogue.tracks_status_{name}" for name in _NEW_SORTS),
        *(
            f"CREATE INDEX tracks_{name} ON catalogue.tracks ({key}, id)"
            for name, key in _SORTS.items()
            if name not in _NEW_SORTS
        ),
        *_status_check("'processing', 'ready', 'warning', 'failed'"),
        """
        ALTER TABLE catalogue.tracks DROP COLUMN notes, DROP COLUMN revision, DROP COLUMN chosen_version,
            DROP COLUMN chosen_before, DROP COLUMN deleted_at, DROP COLUMN purge_started_at, DROP COLUMN title_key
        """,
    ):
        op.execute(statement)


def _status_check(statuses: str) -> tuple[str, str]:
    return (
        "ALTER TABLE catalogue.tracks DROP CONSTRAINT tracks_status_check",
        f"ALTER TABLE catalogue.tracks ADD CONSTRAINT tracks_status_check CHECK (status IN ({statuses}))",
    )
