"""Defines the devices as their operator sees them, and the queries that list, add and revoke them."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import Query
from k1_contracts.ids import DeploymentId, Sha256
from k1_contracts.messages.deploy.device_link import DeviceId, RunningBundle, Transport
from k1_contracts.rpc import Cursor, Offset
from k1_contracts.tracks import Notice

Group = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]


class DeviceView(Contract):
    """A device as its owner, deploy, knows it, with its presence."""

    id: DeviceId
    transport: Transport
    group: Group | None = None
    online: bool
    last_seen: UtcTime | None = None
    model: str | None = None
    firmware: str | None = None
    hardware: str | None = None
    node_types: list[str] = Field(default_factory=list[str])
    flash_free_bytes: int | None = None
    running: RunningBundle | None = None
    staged: list[Sha256] = Field(default_factory=list[str])
    expected: RunningBundle | None = None
    """What it should run: where it differs, it is put right at its next hello."""
    healing: bool = False
    deployment_id: DeploymentId | None = None
    """The deployment that holds it now."""
    last_deployment_id: DeploymentId | None = None
    alarms: list[Notice] = Field(default_factory=list[Notice])
    added_at: UtcTime
    revoked_at: UtcTime | None = None


class DevicePage(Contract):
    total: int
    items: list[DeviceView]
    next_cursor: Cursor | None = None


class ListDevices(Contract):
    group: Group | None = None
    include_revoked: bool = False
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    offset: Offset = 0
    cursor: Cursor | None = None
    """`next_cursor` of the page before; takes the place of `offset`."""


class GetDevice(Contract):
    device_id: DeviceId


class AddDevices(Contract):
    """Provision devices: one credential each, told once."""

    device_ids: Annotated[list[DeviceId], Field(min_length=1, max_length=1000)]
    transport: Transport = "nats"
    group: Group | None = None
    renew: bool = False
    """Give devices that exist a new credential and revoke the old one; otherwise they are an error."""


class DeviceCredential(Contract):
    """What a device connects with; a secret."""

    device_id: DeviceId
    transport: Transport
    user: str | None = None
    """MQTT user name."""
    client_id: str | None = None
    """MQTT client id, which others cannot guess: who connects with the client id of another cuts that one off."""
    secret: str
    """NATS: the text of a credentials file; MQTT: the password."""


class DeviceServers(Contract):
    """Where devices connect, and whose certificates they trust there; installed with a credential."""

    nats_url: str | None = None
    """`nats://HOST:PORT`, or `tls://HOST:PORT`."""
    mqtt_url: str | None = None
    """`mqtt://HOST:PORT`, or `mqtts://HOST:PORT`."""
    ca: str | None = None
    """The CA certificate (PEM) that the servers' certificates lead back to; null: none of its own."""


class DevicesAdded(Contract):
    credentials: list[DeviceCredential]
    trusted_keys: str
    """The JWK set of the keys that bundles are signed with, to be installed with the credential."""
    servers: DeviceServers | None = None


class RevokeDevices(Contract):
    device_ids: Annotated[list[DeviceId], Field(min_length=1, max_length=1000)]


class DevicesRevoked(Contract):
    device_ids: list[DeviceId]


DEVICE_LIST: Final = Query("rpc.deploy.device.list", ListDevices, DevicePage, summary="The devices")
DEVICE_GET: Final = Query("rpc.deploy.device.get", GetDevice, DeviceView, summary="One device")
DEVICE_ADD: Final = Query(
    "rpc.deploy.device.add",
    AddDevices,
    DevicesAdded,
    summary="Provision devices",
    senders=("k1", "gateway"),
    role="admin",
)
DEVICE_REVOKE: Final = Query(
    "rpc.deploy.device.revoke",
    RevokeDevices,
    DevicesRevoked,
    summary="Revoke devices' credentials",
    senders=("k1", "gateway"),
    role="admin",
)
