"""Defines the figures of the whole fleet, now and live."""

from typing import Annotated, Final

from pydantic import Field

from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import LiveMessage, Query
from k1_contracts.ids import Sha256, TrackId
from k1_contracts.messages.deploy.device_link import DeviceId
from k1_contracts.streams import LIVE
from k1_contracts.tracks import Version

Count = Annotated[int, Field(ge=0)]


class FirmwareCount(Contract):
    """How many of the active devices run a firmware."""

    firmware: str | None = None
    """None: the device has not said hello to this installation."""
    devices: Count


class BundleCount(Contract):
    """How many of the active devices report that they run a bundle."""

    bundle_sha256: Sha256 | None = None
    """None: the idle show."""
    track_id: TrackId | None = None
    version: Version | None = None
    devices: Count


class FleetDevices(Contract):
    """What `deploy` knows of the fleet."""

    devices: Count
    """All that are provisioned and not revoked."""
    active_devices: Count
    """Of these, the ones that are online."""
    by_firmware: list[FirmwareCount]
    """Of the active devices, the most frequent first."""
    by_bundle: list[BundleCount]
    """Of the active devices, the most frequent first."""
    deployments_running: Count
    worst_drift_ms: float | None = None
    """The newest drift of the device that is farthest from zero, with its sign; None: no device sends readings."""
    worst_drift_device_id: DeviceId | None = None


class FleetView(FleetDevices):
    """The figures of the whole fleet."""

    open_alarms: Count
    """Alarms that are open, without those that a person has acknowledged."""
    acknowledged_alarms: Count
    at: UtcTime


class GetFleetDevices(Contract):
    """What `deploy` knows of the fleet."""


class GetFleet(Contract):
    """The figures of the whole fleet."""


FLEET_DEVICES: Final = Query(
    "rpc.deploy.fleet.get",
    GetFleetDevices,
    FleetDevices,
    summary="What deploy knows of the fleet",
    senders=("telemetry",),
)
FLEET_GET: Final = Query("rpc.telemetry.fleet.get", GetFleet, FleetView, summary="The figures of the fleet")
FLEET_SUMMARY: Final = LiveMessage(
    "live.fleet.summary",
    FleetView,
    summary="The figures of the fleet, every five seconds and at changes",
    senders=("telemetry",),
    receivers=("gateway",),
    stream=LIVE,
)
