"""The table `track_minutes`: the rollup of 1 min over all devices, for each track, kept by triggers.

A week of a track on a hundred devices is a million rows of `rollup_1m` and ten thousand here. Triggers keep it, so that
rows written by an earlier release during an upgrade count as well. It has no digests of the drift: SQL cannot merge them.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = ("track_minutes",)
TYPES = {
    "drift_ms": "real",
    "cpu_pct": "real",
    "temp_c": "real",
    "fps": "real",
    "heap_free": "bigint",
    "rssi": "smallint",
}
KEY = ("track_id", "bucket")
SUMS = ("devices", "count", *(f"{name}_sum" for name in TYPES))
MINIMA, MAXIMA = (tuple(f"{name}_{bound}" for name in TYPES) for bound in ("min", "max"))
COLUMNS = (*KEY, *SUMS, *MINIMA, *MAXIMA)

TABLE = f"""
    CREATE TABLE telemetry.track_minutes (
        track_id text COLLATE "C" NOT NULL,
        bucket timestamptz NOT NULL,
        devices integer NOT NULL,
        count bigint NOT NULL,
        {", ".join(f"{name}_sum double precision NOT NULL" for name in TYPES)},
        {", ".join(f"{name}_min {type_} NOT NULL, {name}_max {type_} NOT NULL" for name, type_ in TYPES.items())},
        PRIMARY KEY (track_id, bucket)
    )
"""
MERGED = ", ".join(
    (
        *(f"{name} = stored.{name} + excluded.{name}" for name in SUMS),
        *(f"{name} = least(stored.{name}, excluded.{name})" for name in MINIMA),
        *(f"{name} = greatest(stored.{name}, excluded.{name})" for name in MAXIMA),
    )
)


def rows_of(table: str, devices: int, sign: str = "") -> str:
    """Return the query that takes the rows of `rollup_1m` from `table` as rows of this table."""
    sums = ", ".join(f"{sign}{name} AS {name}" for name in SUMS[1:])
    return (
        f"SELECT {', '.join(KEY)}, {devices} AS devices, {sums}, {', '.join((*MINIMA, *MAXIMA))} FROM {table}"  # noqa: S608
    )


def adding(rows: str) -> str:
    """Return the statement that adds such rows to the table."""
    # In the order of the key, so that two transactions wait for each other's rows instead of blocking each other.
    return f"""
        INSERT INTO telemetry.track_minutes AS stored ({", ".join(COLUMNS)})
        SELECT {", ".join(KEY)}, {", ".join(f"sum({name})" for name in SUMS)},
            {", ".join(f"min({name})" for name in MINIMA)}, {", ".join(f"max({name})" for name in MAXIMA)}
        FROM ({rows}) AS each GROUP BY {", ".join(KEY)} ORDER BY {", ".join(KEY)}
        ON CONFLICT ({", ".join(KEY)}) DO UPDATE SET {MERGED}
    """  # noqa: S608


def trigger(name: str, event: str, tables: str, rows: str) -> tuple[str, str]:
    """Return the statements that create a trigger and its function."""
    return (
        f"""
        CREATE FUNCTION telemetry.{name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN {adding(rows)}; RETURN NULL; END
        $$
        """,
        f"""
        CREATE TRIGGER {name} AFTER {event} ON telemetry.rollup_1m REFERENCING {tables}
            FOR EACH STATEMENT EXECUTE FUNCTION telemetry.{name}()
        """,
    )


# What an updated row adds is the difference to what it was; its smallest and largest values only move outwards.
DIFFERENCE = f"{rows_of('after_it', 0)} UNION ALL {rows_of('before_it', 0, '-')}"
TRIGGERS = {
    "add_track_minutes": ("INSERT", "NEW TABLE AS after_it", rows_of("after_it", 1)),
    "change_track_minutes": ("UPDATE", "OLD TABLE AS before_it NEW TABLE AS after_it", DIFFERENCE),
}


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("CREATE INDEX track_minutes_bucket ON telemetry.track_minutes (bucket)")
    # No other transaction adds to the rollup after its rows were read and before the triggers are there.
    op.execute("LOCK TABLE telemetry.rollup_1m IN SHARE ROW EXCLUSIVE MODE")
    op.execute(adding(rows_of("telemetry.rollup_1m", 1)))
    for name, (event, tables, rows) in TRIGGERS.items():
        for statement in trigger(name, event, tables, rows):
            op.execute(statement)


def downgrade() -> None:
    for name in TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON telemetry.rollup_1m")
        op.execute(f"DROP FUNCTION telemetry.{name}()")
    for table in TABLES:
        op.execute(f"DROP TABLE telemetry.{table}")
