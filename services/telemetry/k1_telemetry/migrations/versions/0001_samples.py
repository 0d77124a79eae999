"""The tables of samples, rollups, stored batches and counts of devices.

`samples` and the rollups are partitioned by time; the service makes the partitions ahead and drops the old ones. Where
the server has loaded TimescaleDB they are hypertables instead.
"""

from alembic import op
from sqlalchemy import text

revision = "0001"
down_revision = None

ROLLUPS = ("rollup_1s", "rollup_5s", "rollup_1m")
TABLES = ("samples", *ROLLUPS, "stored_batches", "device_counts")

SAMPLES = """
    CREATE TABLE telemetry.samples (
        device_id text COLLATE "C" NOT NULL,
        ts timestamptz NOT NULL,
        device_ts double precision NOT NULL,
        seq bigint NOT NULL,
        track_id text COLLATE "C",
        version integer,
        position_ms real,
        drift_ms real NOT NULL,
        cpu_pct real NOT NULL,
        temp_c real NOT NULL,
        fps real NOT NULL,
        heap_free bigint NOT NULL,
        rssi smallint NOT NULL,
        error text
    )
"""
ROLLUP = """
    CREATE TABLE telemetry.{name} (
        device_id text COLLATE "C" NOT NULL,
        track_id text COLLATE "C" NOT NULL,
        bucket timestamptz NOT NULL,
        count integer NOT NULL,
        drift_ms_sum double precision NOT NULL,
        drift_ms_min real NOT NULL,
        drift_ms_max real NOT NULL,
        drift_p95 real NOT NULL,
        drift_sketch bytea NOT NULL,
        cpu_pct_sum double precision NOT NULL,
        cpu_pct_min real NOT NULL,
        cpu_pct_max real NOT NULL,
        temp_c_sum double precision NOT NULL,
        temp_c_min real NOT NULL,
        temp_c_max real NOT NULL,
        fps_sum double precision NOT NULL,
        fps_min real NOT NULL,
        fps_max real NOT NULL,
        heap_free_sum double precision NOT NULL,
        heap_free_min bigint NOT NULL,
        heap_free_max bigint NOT NULL,
        rssi_sum double precision NOT NULL,
        rssi_min smallint NOT NULL,
        rssi_max smallint NOT NULL,
        PRIMARY KEY (device_id, bucket, track_id)
    )
"""
OTHERS = (
    # Two batches conflict if they have a message in common. The time of arrival tells messages apart that a broker
    # numbered alike, because it was restored from a backup.
    """
    CREATE TABLE telemetry.stored_batches (
        sequences int8multirange NOT NULL,
        arrived tstzrange NOT NULL,
        EXCLUDE USING gist (sequences WITH &&, arrived WITH &&)
    )
    """,
    """
    CREATE TABLE telemetry.device_counts (
        device_id text COLLATE "C" PRIMARY KEY,
        received bigint NOT NULL,
        missing bigint NOT NULL,
        duplicate bigint NOT NULL,
        late bigint NOT NULL,
        restarted bigint NOT NULL,
        rejected bigint NOT NULL,
        clock_jumps bigint NOT NULL,
        updated_at timestamptz NOT NULL
    )
    """,
)
# The loader of TimescaleDB defines the setting. Which libraries the server loads, only superusers may see.
HYPERTABLES = text(
    "SELECT current_setting('timescaledb.max_background_workers', true) IS NOT NULL"
    " AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')"
)


def upgrade() -> None:
    hypertables = op.get_bind().scalar(HYPERTABLES)
    if hypertables:
        op.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    _create_by_time(SAMPLES, "samples", "ts", "1 hour", hypertables=hypertables)
    op.execute("CREATE INDEX samples_ts ON telemetry.samples USING brin (ts)")
    for name in ROLLUPS:
        _create_by_time(ROLLUP.format(name=name), name, "bucket", "1 day", hypertables=hypertables)
        op.execute(f"CREATE INDEX {name}_track ON telemetry.{name} (track_id, bucket) WHERE track_id <> ''")
    for statement in OTHERS:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE telemetry.{table}")


def _create_by_time(statement: str, name: str, column: str, span: str, *, hypertables: bool) -> None:
    if not hypertables:
        op.execute(f"{statement} PARTITION BY RANGE ({column})")
        return
    op.execute(statement)
    op.execute(
        f"SELECT create_hypertable('telemetry.{name}', by_range('{column}', INTERVAL '{span}'),"
        " create_default_indexes => false)"
    )
