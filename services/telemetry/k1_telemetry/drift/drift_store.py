"""Joins the stored readings of a track with the sections and beats of a map, in PostgreSQL.

The join is made when it is asked for, because the map of a song may change after its readings were stored. The minutes
in which the track played come from the coarsest rollup, so that only their samples are read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from k1_contracts.messages.drift import OFF_MS
from k1_platform.postgres.pool import Pool
from k1_telemetry.database import SCHEMA
from k1_telemetry.drift.cells import DriftCells, SectionCell
from k1_telemetry.drift.drift_figures import DriftSum
from k1_telemetry.drift.song_plan import SongPlan

_MINUTE: Final = timedelta(minutes=1)
_MINUTES: Final = f"""
    SELECT DISTINCT bucket FROM {SCHEMA}.rollup_1m
    WHERE track_id = $1 AND bucket > $2::timestamptz - interval '1 minute' AND bucket < $3 ORDER BY bucket
"""  # noqa: S608
_KINDS: Final = ("joined", "unplaced", "other_version", "outside")
_CELLS: Final = f"""
    SELECT GROUPING(beat) AS no_beat, kind, beat, edge, device_id, began_s,
        count(*) AS readings, sum(drift_ms) AS sum_ms, sum(abs(drift_ms)) AS sum_abs_ms,
        max(abs(drift_ms)) AS max_abs_ms, count(*) FILTER (WHERE abs(drift_ms) > {OFF_MS}) AS off
    FROM (
        SELECT CASE
                WHEN version IS NULL OR position_ms IS NULL THEN 1
                WHEN version <> $2 THEN 2
                WHEN position_ms > $3::float8 THEN 3
                ELSE 0 END AS kind,
            device_id, drift_ms,
            width_bucket(position_ms, $6::float8[]) - 1 AS beat,
            width_bucket(position_ms, $7::float8[]) - 1 AS edge,
            floor(date_part('epoch', ts) - position_ms / 1000)::bigint AS began_s
        FROM unnest($4::timestamptz[], $5::timestamptz[]) AS span (starts_at, ends_at)
        CROSS JOIN LATERAL (
            SELECT device_id, ts, version, position_ms::float8 AS position_ms, drift_ms::float8 AS drift_ms
            FROM {SCHEMA}.samples WHERE track_id = $1 AND ts >= starts_at AND ts < ends_at
        ) AS sample
    ) AS joined
    GROUP BY GROUPING SETS ((kind), (kind, beat), (kind, edge, device_id, began_s))
    HAVING GROUPING(beat, edge) = 3 OR kind = 0
"""  # noqa: S608
_WORK_MEM: Final = "SET LOCAL work_mem = '64MB'"
"""Else PostgreSQL sorts the readings on disk three times; it takes as much only for very many plays."""


@dataclass(frozen=True, slots=True)
class DriftStore:
    """The stored readings, as far as they concern drift."""

    pool: Pool

    async def read(
        self, track_id: str, version: int, plan: SongPlan, since: datetime, until: datetime
    ) -> DriftCells:
        """Return the drift of the readings of a track, added up by beat, and by section, device and play."""
        minutes = [row["bucket"] for row in await self.pool.fetch(_MINUTES, track_id, since, until)]
        spans = merge_minutes(minutes, since, until)
        async with self.pool.acquire() as connection, connection.transaction(readonly=True):
            await connection.execute(_WORK_MEM)
            rows = await connection.fetch(
                _CELLS,
                track_id,
                version,
                plan.duration_ms,
                [starts_at for starts_at, _ in spans],
                [ends_at for _, ends_at in spans],
                list(plan.beats_ms),
                plan.section_edges_ms,
            )
        return _cells(rows)


def merge_minutes(
    minutes: Iterable[datetime], since: datetime, until: datetime
) -> list[tuple[datetime, datetime]]:
    """Return the spans of consecutive minutes, cut to the window; the minutes rise."""
    spans: list[tuple[datetime, datetime]] = []
    for minute in minutes:
        if spans and spans[-1][1] == minute:
            spans[-1] = spans[-1][0], minute + _MINUTE
        else:
            spans.append((minute, minute + _MINUTE))
    return [(max(starts_at, since), min(ends_at, until)) for starts_at, ends_at in spans]


def _cells(rows: Sequence[Mapping[str, Any]]) -> DriftCells:
    kinds: dict[str, int] = {}
    beats: dict[int, DriftSum] = {}
    sections: list[SectionCell] = []
    for row in rows:
        if row["device_id"] is not None:
            sections.append(SectionCell(row["edge"], row["device_id"], row["began_s"], _sum(row)))
        elif row["no_beat"]:
            kinds[_KINDS[row["kind"]]] = row["readings"]
        else:
            beats[row["beat"]] = _sum(row)
    return DriftCells(kinds, beats, sections)


def _sum(row: Mapping[str, Any]) -> DriftSum:
    return DriftSum(row["readings"], row["sum_ms"], row["sum_abs_ms"], row["max_abs_ms"], row["off"])
