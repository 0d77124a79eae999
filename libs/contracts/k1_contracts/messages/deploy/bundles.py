"""Defines bundles and the queries about them."""

from typing import Final, Literal

from k1_contracts.base import Contract
from k1_contracts.descriptors import Query
from k1_contracts.graph import BundleManifest, GraphImpact, RuntimeEstimate, RuntimeRisk
from k1_contracts.ids import Sha256, TrackId
from k1_contracts.messages.deploy.device_link import DeviceId, RunningBundle
from k1_contracts.tracks import Version


class BundleRef(Contract):
    """The bundle of a version."""

    sha256: Sha256
    size: int
    track_id: TrackId
    version: Version


def bundle_key(sha256: str) -> str:
    """Where the bundle with this SHA-256 lies in the object store, of whichever version it is or was."""
    return f"graphs/{sha256}/bundle.k1b"


class GetBundle(Contract):
    track_id: TrackId
    version: Version


class CompareGraphs(Contract):
    """What changes for a device that runs another version or track."""

    track_id: TrackId
    version: Version
    running: RunningBundle


class BundleInfo(Contract):
    """The catalogue's answer: the bundle and what the gates look at."""

    bundle: BundleRef
    key: str
    """In the object store."""
    manifest: BundleManifest
    runtime_estimate: RuntimeEstimate
    risk: RuntimeRisk
    photosensitivity_passed: bool | None = None
    """None: not known."""
    f_measure: float
    f_measure_reference: str | None = None
    """`override`: of the beats that a person has replaced, so it says nothing about those of the bundle."""
    integrity: float | None = None
    """Of the audio: 1 where all of it was decoded, less where some was lost."""
    track_status: Literal["ready", "warning"]
    traceparent: str | None = None
    """The trace of the upload and the analysis that made the version, to which the deployment is linked."""


class Compatibility(Contract):
    device_id: DeviceId
    firmware: str | None = None
    """None for a device that never said hello."""
    status: Literal["ok", "upgrade_required", "missing_nodes", "no_space", "offline"]
    reason: str | None = None


class BundleView(Contract):
    """A bundle, its cost and the devices that could run it."""

    manifest: BundleManifest
    runtime_estimate: RuntimeEstimate
    bundle: BundleRef
    compatibility: list[Compatibility]


BUNDLE_INFO: Final = Query(
    "rpc.catalogue.bundle.get",
    GetBundle,
    BundleInfo,
    summary="The bundle of a version and what the gates look at",
    senders=("deploy",),
)
GRAPH_COMPARE: Final = Query(
    "rpc.catalogue.graph.compare",
    CompareGraphs,
    GraphImpact,
    summary="What changes for a device that runs another bundle",
    senders=("deploy",),
)
BUNDLE_GET: Final = Query(
    "rpc.deploy.bundle.get", GetBundle, BundleView, summary="A bundle and the devices that could run it"
)
