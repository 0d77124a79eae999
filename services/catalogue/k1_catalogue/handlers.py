"""The index of the catalogue: every event that it consumes and every query that it answers."""

from dataclasses import dataclass

from k1_catalogue.artefacts.deletions import ArtefactDeletions
from k1_catalogue.artefacts.links import LinkQueries
from k1_catalogue.artefacts.media import MediaQueries
from k1_catalogue.beats.editor import BeatEditor
from k1_catalogue.beats.graph_versions import GraphVersions
from k1_catalogue.beats.queries import BeatQueries
from k1_catalogue.deployments.bundle_queries import BundleQueries
from k1_catalogue.deployments.event_handlers import DeploymentEventHandlers
from k1_catalogue.edits.batch import TrackBatches
from k1_catalogue.edits.track_edits import TrackEdits
from k1_catalogue.graphs.queries import GraphQueries
from k1_catalogue.graphs.reference_queries import ReferenceQueries
from k1_catalogue.history.queries import HistoryQueries
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.moves import JobMoves
from k1_catalogue.jobs.queries import JobQueries
from k1_catalogue.similarity.queries import SimilarQueries
from k1_catalogue.storage.queries import StorageQueries
from k1_catalogue.tracks.queries import TrackQueries
from k1_catalogue.tracks.upload_handlers import TrackUploadHandlers
from k1_contracts.durables import CATALOGUE
from k1_contracts.messages.analysis import (
    ANALYSIS_CANCELLED,
    ANALYSIS_COMPLETED,
    ANALYSIS_FAILED,
    ANALYSIS_REQUEST,
    ANALYSIS_STARTED,
    JOB_CANCEL,
    JOB_GET,
    JOB_LIST,
    JOB_RETRY,
)
from k1_contracts.messages.catalogue.beats import (
    BEAT_OVERRIDE_GET,
    BEAT_OVERRIDE_REMOVE,
    BEAT_OVERRIDE_SAVE,
    BEATS_PREVIEW,
)
from k1_contracts.messages.catalogue.graph_edits import GRAPH_SAVE_VERSION, GRAPH_VALIDATE
from k1_contracts.messages.catalogue.graphs import (
    GRAPH_GET,
    GRAPH_PUT,
    GRAPH_SIMULATE,
    KEY_LIST,
    NODE_LIST,
)
from k1_contracts.messages.catalogue.job_moves import JOB_SET_PRIORITY
from k1_contracts.messages.catalogue.media import AUDIO_GET, WAVEFORM_GET
from k1_contracts.messages.catalogue.similar import TRACK_SIMILAR
from k1_contracts.messages.catalogue.storage import (
    ARTEFACT_DELETE,
    ARTEFACT_RESTORE,
    LINK_CREATE,
    LINK_LIST,
    LINK_OPEN,
    LINK_REVOKE,
    STORAGE_CLEANUP,
    STORAGE_USAGE,
)
from k1_contracts.messages.catalogue.track_edits import TRACK_BATCH, TRACK_DELETE, TRACK_EDIT, TRACK_RESTORE
from k1_contracts.messages.catalogue.track_history import TRACK_HISTORY, VERSION_COMPARE
from k1_contracts.messages.catalogue.track_uploads import TRACK_CREATED, TRACK_UPLOAD_ABANDONED
from k1_contracts.messages.catalogue.tracks import (
    ARTEFACT_LIST,
    GENESIS_GET,
    TRACK_DETAILS,
    TRACK_GET,
    TRACK_LIST,
    TRACK_UPLOADED,
    VERSION_GET,
)
from k1_contracts.messages.deploy.bundles import BUNDLE_INFO, GRAPH_COMPARE
from k1_contracts.messages.deploy.deployments import (
    DEPLOY_FAILED,
    DEPLOY_PROGRESSED,
    DEPLOY_ROLLED_BACK,
    DEPLOY_SUCCEEDED,
)
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryHandler, respond
from k1_platform.nats.queries.rpc_documents import respond_with_document
from k1_platform.nats.streams.consumers import Handler, consume_table
from k1_platform.postgres.pool import TRANSIENT_ERRORS


@dataclass(frozen=True, slots=True)
class ArtefactQueries:
    """The queries about single artefacts."""

    deletions: ArtefactDeletions
    links: LinkQueries
    media: MediaQueries


def consume_events(
    bus: Bus,
    *,
    uploads: TrackUploadHandlers,
    jobs: JobEventHandlers,
    deployments: DeploymentEventHandlers,
    workers: int,
) -> None:
    """Consume the events on the durable `catalogue`, at most `workers` at a time."""
    handlers = [
        Handler(TRACK_CREATED, uploads.handle_created),
        Handler(TRACK_UPLOAD_ABANDONED, uploads.handle_abandoned),
        Handler(TRACK_UPLOADED, jobs.handle_track_uploaded),
        Handler(ANALYSIS_STARTED, jobs.handle_started),
        Handler(ANALYSIS_COMPLETED, jobs.handle_completed),
        Handler(ANALYSIS_FAILED, jobs.handle_failed),
        Handler(ANALYSIS_CANCELLED, jobs.handle_cancelled),
        Handler(DEPLOY_PROGRESSED, deployments.handle_event),
        Handler(DEPLOY_SUCCEEDED, deployments.handle_event),
        Handler(DEPLOY_ROLLED_BACK, deployments.handle_event),
        Handler(DEPLOY_FAILED, deployments.handle_event),
    ]
    consume_table(bus.broker, CATALOGUE, handlers, workers=workers)


def serve_queries(
    bus: Bus,
    *,
    tracks: TrackQueries,
    edits: TrackEdits,
    batches: TrackBatches,
    history: HistoryQueries,
    jobs: JobQueries,
    moves: JobMoves,
    graphs: GraphQueries,
    bundles: BundleQueries,
    similar: SimilarQueries,
    reference: ReferenceQueries,
    artefacts: ArtefactQueries,
    storage: StorageQueries,
    beats: BeatQueries,
    editor: BeatEditor,
    graph_versions: GraphVersions,
) -> None:
    """Answer the queries of the gateway and of deploy."""
    handlers = [
        QueryHandler(TRACK_LIST, tracks.list_tracks),
        QueryHandler(TRACK_GET, tracks.get_track),
        QueryHandler(TRACK_DETAILS, tracks.get_tracks),
        QueryHandler(VERSION_GET, tracks.get_version),
        QueryHandler(VERSION_COMPARE, tracks.compare_versions),
        QueryHandler(TRACK_SIMILAR, similar.find_similar),
        QueryHandler(ARTEFACT_LIST, tracks.list_artefacts),
        QueryHandler(TRACK_EDIT, edits.edit),
        QueryHandler(TRACK_DELETE, edits.delete),
        QueryHandler(TRACK_RESTORE, edits.restore),
        QueryHandler(TRACK_BATCH, batches.run_batch),
        QueryHandler(TRACK_HISTORY, history.get_history),
        QueryHandler(JOB_LIST, jobs.list_jobs),
        QueryHandler(JOB_GET, jobs.get_job),
        QueryHandler(JOB_CANCEL, jobs.cancel_job),
        QueryHandler(JOB_RETRY, jobs.retry_job),
        QueryHandler(JOB_SET_PRIORITY, moves.set_priority),
        QueryHandler(ANALYSIS_REQUEST, jobs.request_analysis),
        QueryHandler(GRAPH_GET, graphs.get_graph),
        QueryHandler(GRAPH_PUT, graphs.put_graph),
        QueryHandler(GRAPH_VALIDATE, graphs.validate_graph),
        QueryHandler(GRAPH_SAVE_VERSION, graph_versions.save),
        QueryHandler(GRAPH_SIMULATE, graphs.simulate),
        QueryHandler(NODE_LIST, reference.list_node_types),
        QueryHandler(KEY_LIST, reference.list_keys),
        QueryHandler(AUDIO_GET, artefacts.media.get_audio),
        QueryHandler(WAVEFORM_GET, artefacts.media.get_waveform),
        QueryHandler(ARTEFACT_DELETE, artefacts.deletions.delete),
        QueryHandler(ARTEFACT_RESTORE, artefacts.deletions.restore),
        QueryHandler(LINK_CREATE, artefacts.links.create),
        QueryHandler(LINK_LIST, artefacts.links.list_links),
        QueryHandler(LINK_REVOKE, artefacts.links.revoke),
        QueryHandler(LINK_OPEN, artefacts.links.open),
        QueryHandler(STORAGE_USAGE, storage.get_usage),
        QueryHandler(STORAGE_CLEANUP, storage.clean_up),
        QueryHandler(BUNDLE_INFO, bundles.get_bundle),
        QueryHandler(GRAPH_COMPARE, bundles.compare_graphs),
        QueryHandler(BEAT_OVERRIDE_GET, beats.get_override),
        QueryHandler(BEATS_PREVIEW, beats.preview),
        QueryHandler(BEAT_OVERRIDE_SAVE, editor.save),
        QueryHandler(BEAT_OVERRIDE_REMOVE, editor.remove),
    ]
    respond(bus.broker, handlers, transient=TRANSIENT_ERRORS)
    # The only query whose response is a document: compressed, and with an entity tag.
    respond_with_document(bus.broker, GENESIS_GET, tracks.get_genesis, transient=TRANSIENT_ERRORS)
