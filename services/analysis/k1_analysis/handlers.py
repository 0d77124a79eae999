"""Registers every handler of the analysis service: the index of its subjects.

`register` binds the durable `analysis-intake` (`track.uploaded`, `analysis.requested`, `analysis.moved`) and the queries. The slots
of the worker read two more sources while they run: the job lanes (`jobs.queue`) and the bucket of cancellations
(`jobs.cancellations`).
"""

from typing import cast

from nats.js import JetStreamContext

from k1_analysis.copies.audio_copier import AudioCopier
from k1_analysis.engine import Preset as EnginePreset
from k1_analysis.engine import presets
from k1_analysis.jobs.job_events import job_from_request, job_from_upload
from k1_analysis.jobs.places import JobPlaces
from k1_analysis.jobs.queue import enqueue
from k1_analysis.jobs.worker_registry import WorkerRegistry
from k1_analysis.overrides.beat_applier import BeatApplier
from k1_analysis.shows.graph_simulator import GraphSimulator
from k1_contracts.durables import ANALYSIS_INTAKE
from k1_contracts.messages.analysis import ANALYSIS_REQUESTED, WORKER_LIST, RequestAnalysis
from k1_contracts.messages.catalogue.beats import BEATS_APPLY
from k1_contracts.messages.catalogue.graphs import (
    GRAPH_RUN,
    PRESET_LIST,
    BandGains,
    ListPresets,
    PresetList,
    PresetView,
    ShowTemplate,
)
from k1_contracts.messages.catalogue.job_moves import ANALYSIS_MOVED, AnalysisMoved
from k1_contracts.messages.catalogue.media import AUDIO_COPY
from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED, TrackUploaded
from k1_contracts.tracks import Preset
from k1_graph.recommendation.templates import template_for
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryHandler, respond
from k1_platform.nats.streams.consumers import Delivery, Handler, consume_table


def register(
    bus: Bus,
    registry: WorkerRegistry,
    simulator: GraphSimulator,
    beat_applier: BeatApplier,
    copier: AudioCopier,
) -> None:
    """Register every durable and every query that the service serves."""
    consume_table(bus.broker, ANALYSIS_INTAKE, intake_handlers(bus.jetstream), workers=16)
    respond(
        bus.broker,
        [
            QueryHandler(WORKER_LIST, registry.list_workers),
            QueryHandler(PRESET_LIST, list_presets),
            QueryHandler(GRAPH_RUN, simulator.simulate),
            QueryHandler(BEATS_APPLY, beat_applier.apply),
            QueryHandler(AUDIO_COPY, copier.copy),
        ],
    )


def intake_handlers(
    jetstream: JetStreamContext,
) -> tuple[Handler[TrackUploaded], Handler[RequestAnalysis], Handler[AnalysisMoved]]:
    """Return the handler of each message of the durable `analysis-intake`; each one enqueues a job."""
    places = JobPlaces(jetstream)

    async def on_track_uploaded(event: Delivery[TrackUploaded]) -> None:
        await enqueue(jetstream, job_from_upload(event.body))

    async def on_analysis_requested(event: Delivery[RequestAnalysis]) -> None:
        await enqueue(jetstream, job_from_request(event.body))

    async def on_analysis_moved(event: Delivery[AnalysisMoved]) -> None:
        job = job_from_request(event.body)
        if await places.move(job):
            await enqueue(jetstream, job)

    return (
        Handler(TRACK_UPLOADED, on_track_uploaded),
        Handler(ANALYSIS_REQUESTED, on_analysis_requested),
        Handler(ANALYSIS_MOVED, on_analysis_moved),
    )


async def list_presets(_: ListPresets) -> PresetList:
    """Return every preset with its settings for the engine and its show template."""
    return PresetList(presets=[_preset_view(preset) for preset in presets().values()])


def _preset_view(preset: EnginePreset) -> PresetView:
    template = template_for(preset.name)
    return PresetView(
        name=cast("Preset", preset.name),
        title=preset.title,
        aliases=list(preset.aliases),
        tempo_bpm=preset.tempo_bpm,
        metres=list(preset.metres),
        band_gains=BandGains(bass=preset.bass_gain, mids=preset.mids_gain, highs=preset.highs_gain),
        sections=list(preset.sections),
        template=ShowTemplate(
            name=template.name,
            version=template.version,
            about=template.about,
            expected_bpm=template.expected_bpm,
            nodes=[dict(node) for node in template.nodes],
        ),
    )
