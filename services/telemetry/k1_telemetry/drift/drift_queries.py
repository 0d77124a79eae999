"""Responds to queries for the drift of devices against the map of a song."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from faststream.nats import NatsBroker

from k1_contracts.genesis import GenesisView
from k1_contracts.messages.catalogue.tracks import GENESIS_GET, GetGenesis
from k1_contracts.messages.drift import DriftCounts, GetDrift, TrackDrift
from k1_platform.nats.queries.rpc_documents import request_document
from k1_platform.processes.threads import in_thread
from k1_telemetry.drift.drift_report import make_report
from k1_telemetry.drift.drift_store import DriftStore
from k1_telemetry.drift.song_plan import SongPlan
from k1_telemetry.history.history_queries import window_of


@dataclass(frozen=True, slots=True)
class DriftQueries:
    """Joins the stored readings with the map of the version that was played.

    `song_plan` returns the plan of a version, or raises the QueryError of the catalogue; `keep` is how long readings are
    stored.
    """

    store: DriftStore
    song_plan: Callable[[str, int], Awaitable[SongPlan]]
    keep: timedelta
    clock: Callable[[], datetime]

    async def get_drift(self, query: GetDrift) -> TrackDrift:
        """Return where devices lost the beat while they played a version."""
        since, until = window_of(query, self.clock(), self.keep)
        plan = await self.song_plan(query.track_id, query.version)
        cells = await self.store.read(query.track_id, query.version, plan, since, until)
        report = await in_thread(make_report, plan, cells)
        return TrackDrift(
            track_id=query.track_id,
            version=query.version,
            beats_from="person" if plan.is_by_person else "analysis",
            starts_at=since,
            ends_at=until,
            counts=DriftCounts(
                joined=cells.kinds.get("joined", 0),
                other_version=cells.kinds.get("other_version", 0),
                outside=cells.kinds.get("outside", 0),
                unplaced=cells.kinds.get("unplaced", 0),
            ),
            devices=report.devices,
            plays=report.plays,
            figures=report.figures,
            sections=report.sections,
            beats=report.beats,
            suggestions=report.suggestions,
        )


@dataclass(frozen=True, slots=True)
class CatalogueClient:
    """The client of the catalogue's queries."""

    broker: NatsBroker

    async def song_plan(self, track_id: str, version: int) -> SongPlan:
        """Return the sections and beats of a version.

        Raises:
            QueryError: of the catalogue, such as `version_not_found` or `genesis_pending`.
        """
        query = GetGenesis(track_id=track_id, version=version, layers=["rhythm", "annotations"])
        found = await request_document(self.broker, GENESIS_GET, query)
        genesis = await in_thread(GenesisView.model_validate_json, found.json())
        return SongPlan.of(genesis)
