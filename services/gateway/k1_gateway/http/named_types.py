"""Names the types that many fields of the API share."""

from typing import Any, Final

from k1_contracts.base import JsonObject
from k1_contracts.messages.catalogue.tracks import MapLayer
from k1_contracts.messages.deploy.deployments import DeploymentStatus, DeviceOutcome, Gate, StepName
from k1_contracts.messages.deploy.device_link import Transport
from k1_contracts.tracks import ArtefactStatus, JobStatus, Preset, TrackStatus, VersionStatus

NAMED_TYPES: Final[dict[str, Any]] = {
    "ArtefactStatus": ArtefactStatus,
    "DeploymentStatus": DeploymentStatus,
    "DeviceOutcome": DeviceOutcome,
    "Gate": Gate,
    "JobStatus": JobStatus,
    "JsonObject": JsonObject,
    "MapLayer": MapLayer,
    "Preset": Preset,
    "StepName": StepName,
    "TrackStatus": TrackStatus,
    "Transport": Transport,
    "VersionStatus": VersionStatus,
}
"""Types that many fields share: one schema each, so that a client has one type for each."""
