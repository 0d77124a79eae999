"""Names the schema `telemetry`, its partitioned tables and that of the minutes of tracks."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

SCHEMA: Final = "telemetry"


@dataclass(frozen=True, slots=True)
class PartitionedTable:
    """A table that is partitioned by time; each partition covers one `span`, and the spans begin at UTC midnight."""

    name: str
    span: timedelta


@dataclass(frozen=True, slots=True)
class Rollup(PartitionedTable):
    """A table with one row for each device, track and bucket of `step`."""

    step: timedelta


SAMPLES: Final = PartitionedTable("samples", timedelta(hours=1))
ROLLUPS: Final = (
    Rollup("rollup_1s", timedelta(days=1), timedelta(seconds=1)),
    Rollup("rollup_5s", timedelta(days=1), timedelta(seconds=5)),
    Rollup("rollup_1m", timedelta(days=1), timedelta(minutes=1)),
)
"""From the finest to the coarsest."""
PARTITIONED_TABLES: Final = (SAMPLES, *ROLLUPS)
TRACK_MINUTES: Final = "track_minutes"
"""The rollup of 1 min over all devices, for each track; triggers of the migration 0003 keep it."""
