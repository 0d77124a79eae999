"""Reads samples and rollups from PostgreSQL, summarised by steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from k1_contracts.messages.telemetry_history import Resolution, TelemetryField
from k1_platform.postgres.pool import Pool
from k1_telemetry.database import SCHEMA, TRACK_MINUTES
from k1_telemetry.history.resolution import ReadPlan

Owner = Literal["device_id", "track_id"]
"""The column that selects the rows."""
Row = Mapping[str, Any]
_TABLES: Final[Mapping[Resolution, str]] = {
    "raw": "samples",
    "1s": "rollup_1s",
    "5s": "rollup_5s",
    "1m": "rollup_1m",
}
_MOST_READINGS: Final = 50_000
_ORIGIN: Final = "'epoch'::timestamptz"


@dataclass(frozen=True, slots=True)
class HistoryStore:
    """The stored telemetry; `owner` and `id_` select that of a device or of a track."""

    pool: Pool

    async def count_minutes(self, owner: Owner, id_: str, since: datetime, until: datetime) -> int:
        """Return the number of rows of the rollup of 1 min in a window."""
        counted = "coalesce(sum(devices), 0)" if owner == "track_id" else "count(*)"
        query = (
            f"SELECT {counted} FROM {SCHEMA}.{_minutes(owner)}"  # noqa: S608
            f" WHERE {owner} = $1 AND bucket > $2::timestamptz - interval '1 minute' AND bucket < $3"
        )
        return await self.pool.fetchval(query, id_, since, until)

    async def read(
        self, owner: Owner, id_: str, plan: ReadPlan, fields: Sequence[TelemetryField]
    ) -> list[Row]:
        """Return a row for each step that has readings, in order of time.

        The columns are `at`, `count`, `<field>_avg`, `<field>_min` and `<field>_max`, and for the drift `p95` or, where
        several rows were merged, their `sketches`.
        """
        if plan.step is None:
            return await self.pool.fetch(_readings(owner, fields), id_, plan.starts_at, plan.ends_at)
        build = _sample_steps if plan.resolution == "raw" else _rollup_steps
        table = _TABLES[plan.resolution]
        if plan.resolution == "1m" and not plan.has_sketches:
            table = _minutes(owner)
        query = build(owner, table, fields, has_sketches=plan.has_sketches)
        return await self.pool.fetch(query, id_, plan.starts_at, plan.ends_at, plan.step)


def _minutes(owner: Owner) -> str:
    """Return the table of minutes with the fewest rows; that of tracks has no digests."""
    return TRACK_MINUTES if owner == "track_id" else _TABLES["1m"]


def _readings(owner: Owner, fields: Sequence[TelemetryField]) -> str:
    columns = ", ".join(
        f"{field} AS {field}_avg, {field} AS {field}_min, {field} AS {field}_max" for field in fields
    )
    return (
        f"SELECT ts AS at, 1 AS count, {columns} FROM {SCHEMA}.samples"  # noqa: S608
        f" WHERE {owner} = $1 AND ts >= $2 AND ts < $3 ORDER BY ts LIMIT {_MOST_READINGS}"
    )


def _sample_steps(owner: Owner, table: str, fields: Sequence[TelemetryField], *, has_sketches: bool) -> str:
    columns = [f"avg({field}) AS {field}_avg, {_bounds(field, field, field)}" for field in fields]
    if "drift_ms" in fields and has_sketches:
        columns.append("percentile_disc(0.95) WITHIN GROUP (ORDER BY abs(drift_ms)) AS p95")
    return _steps(owner, table, "ts", "count(*)", columns)


def _rollup_steps(owner: Owner, table: str, fields: Sequence[TelemetryField], *, has_sketches: bool) -> str:
    columns = [
        f"sum({field}_sum) / sum(count) AS {field}_avg, {_bounds(field, f'{field}_min', f'{field}_max')}"
        for field in fields
    ]
    if "drift_ms" in fields and has_sketches:
        columns.append("CASE WHEN count(*) = 1 THEN max(drift_p95) END AS p95")
        columns.append("CASE WHEN count(*) > 1 THEN array_agg(drift_sketch) END AS sketches")
    return _steps(owner, table, "bucket", "sum(count)", columns)


def _bounds(field: TelemetryField, low: str, high: str) -> str:
    return f"min({low}) AS {field}_min, max({high}) AS {field}_max"


def _steps(owner: Owner, table: str, time: str, count: str, columns: Sequence[str]) -> str:
    return (
        f"SELECT date_bin($4, {time}, {_ORIGIN}) AS at, {count} AS count, {', '.join(columns)}"  # noqa: S608
        f" FROM {SCHEMA}.{table} WHERE {owner} = $1 AND {time} >= $2 AND {time} < $3 GROUP BY 1 ORDER BY 1"
    )
