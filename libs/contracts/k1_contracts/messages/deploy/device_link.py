"""Device link v1: what a K1 and the services say to each other, over NATS or MQTT 3.1.1.

`docs/device-link.md` is the same for people who write firmware. Every time in these messages is in
milliseconds **on the device's own clock**, which may start anywhere (at boot, say): the services measure its
offset by `ping` and translate.
"""

import re
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import DeviceMessage, M
from k1_contracts.ids import DeploymentId, Sha256, TrackId
from k1_contracts.streams import DEVICES
from k1_contracts.tracks import Version

DEVICE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""A whole device id, for `fullmatch`: what can be a token of a subject and a level of an MQTT topic."""
DeviceId = Annotated[str, StringConstraints(pattern=f"^{DEVICE_ID.pattern}$")]
"""A subject token and an MQTT level."""
Firmware = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}([-+][0-9A-Za-z.+-]{1,40})?$")
]
"""A semantic version."""
Transport = Literal["nats", "mqtt"]
Verb = Literal["info", "ping", "stage", "activate", "deactivate", "discard", "trust"]
ReplyStatus = Literal["accepted", "progress", "done", "refused", "failed"]
FINAL_STATUSES: Final[frozenset[ReplyStatus]] = frozenset({"done", "refused", "failed"})
CHUNK_MAX_BYTES: Final = 64 * 1024
DEVICE_MAX_SUBSCRIPTIONS: Final = 16
"""Of one connection."""


class RunningBundle(Contract):
    """A bundle on a device."""

    bundle_sha256: Sha256
    track_id: TrackId | None = None
    version: Version | None = None


class DeviceHello(Contract):
    """What a device is and holds; said at every connection and in the answer to `info`."""

    id: DeviceId
    model: Annotated[str, Field(max_length=100)]
    firmware: Firmware
    hardware: Annotated[str, Field(max_length=100)]
    node_types: Annotated[list[str], Field(max_length=500)]
    flash_free_bytes: int = Field(ge=0)
    """What one more bundle may take."""
    active: RunningBundle | None = None
    staged: Annotated[list[Sha256], Field(max_length=16)] = Field(default_factory=list[str])
    """Whole, checked bundles that do not run: a new one before its activation, the one before after it."""
    fetching: Sha256 | None = None
    """The bundle that is on its way."""
    key_ids: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list[str])
    """The public keys that it trusts bundles of."""


class DeviceBye(Contract):
    """A clean end, or the last will of an MQTT device."""

    id: DeviceId
    reason: Annotated[str, Field(max_length=200)] | None = None


class DeviceCommand(Contract):
    """What every command carries.

    A repeated `command_id` has no second effect and gets the newest answer of the first. A command with a lower
    `fence` than the highest that the device has seen comes from a process that was replaced: it is refused.
    """

    command_id: Annotated[str, Field(min_length=1, max_length=80)]
    deployment_id: DeploymentId | None = None
    fence: int = Field(default=0, ge=0)
    deadline_ms: float | None = None
    """Device clock; a command that begins later is refused with `deadline_passed`."""


class Info(DeviceCommand):
    """Say what you are and hold; answered with `hello`."""


class Ping(DeviceCommand):
    """Measure the clock: answered with `received_ms` and `replied_ms`."""


class Stage(DeviceCommand):
    """Fetch a bundle, check length, SHA-256 and signature, keep it beside the running one.

    `accepted` at once, `progress` now and then, `done` when all is checked.
    """

    bundle_sha256: Sha256
    size: int = Field(gt=0)
    url: str
    """Presigned, takes Range; where it cannot be reached, chunks come over the link (FetchChunk)."""
    chunk_size: int = Field(gt=0, le=CHUNK_MAX_BYTES)
    track_id: TrackId
    version: Version


class Activate(DeviceCommand):
    """Run a staged bundle from `at_ms` on: `accepted` when it is armed, `done` with `at_ms` when it runs."""

    bundle_sha256: Sha256
    at_ms: float | None = None
    """Device clock; None is now."""


class Deactivate(DeviceCommand):
    """Run again what ran before; also disarms. None is the device's own idle show."""

    restore: Sha256 | None = None
    bundle_sha256: Sha256 | None = None
    """The bundle to leave, which stays staged."""


class Discard(DeviceCommand):
    """Delete a bundle that does not run; one that is not there is `done` as well."""

    bundle_sha256: Sha256


class Trust(DeviceCommand):
    """Replace the trusted keys, on the word of a key that is trusted already."""

    keys_document: str
    """A JWK set, exactly as signed."""
    signatures: dict[str, str]
    """Ed25519 over the document's UTF-8 bytes, hex, by `kid`; one of a trusted key is enough."""


COMMANDS: Final[dict[Verb, type[DeviceCommand]]] = {
    "info": Info,
    "ping": Ping,
    "stage": Stage,
    "activate": Activate,
    "deactivate": Deactivate,
    "discard": Discard,
    "trust": Trust,
}
ReplyCode = Literal[
    "deadline_passed",
    "stale_fence",
    "invalid_command",
    "busy",
    "no_space",
    "fetch_failed",
    "size_mismatch",
    "hash_mismatch",
    "bad_signature",
    "unknown_key",
    "firmware_too_old",
    "missing_nodes",
    "not_staged",
    "unknown_bundle",
    "still_active",
    "activate_failed",
]


class DeviceReply(Contract):
    """An answer: over NATS the first to the request's reply subject, later ones to `device.<id>.reply`; over MQTT all there."""

    command_id: str
    device_id: DeviceId
    verb: Verb
    status: ReplyStatus
    code: ReplyCode | None = None
    """Of `refused` and `failed`."""
    message: Annotated[str, Field(max_length=500)] | None = None
    received_bytes: int | None = Field(default=None, ge=0)
    """Of `progress`."""
    at_ms: float | None = None
    """Of an activation: when the bundle began to run."""
    received_ms: float | None = None
    replied_ms: float | None = None
    hello: DeviceHello | None = None
    """Of `info`, and of every final answer of stage, activate, deactivate and discard: what the device holds now."""


class FetchChunk(Contract):
    """A device asks for a part of a bundle that it was told to stage, when HTTP does not work.

    The answer comes on `command.<id>.chunk`, over NATS to the reply subject if there is one: the JSON of
    ChunkHeader, a newline, the bytes.
    """

    request_id: Annotated[str, Field(min_length=1, max_length=80)]
    bundle_sha256: Sha256
    offset: int = Field(ge=0)
    length: int = Field(gt=0, le=CHUNK_MAX_BYTES)


class ChunkHeader(Contract):
    """Before the bytes of a chunk; `length` is 0 and `error` says why when there are none."""

    request_id: str
    bundle_sha256: Sha256
    offset: int
    length: int
    error: str | None = None


DeviceErrorCode = Literal[
    "invalid_json",
    "invalid_field",
    "too_many",
    "wrong_id",
    "unknown_device",
    "revoked_device",
    "unexpected_reply",
    "client_id",
    "credential_shared",
]


class DeviceError(Contract):
    """What was wrong with a message or a connection of a device, for the author of its firmware.

    On `command.<id>.error`. It is no command and gets no answer. At most one a second for a device, after a first few.
    """

    device_id: DeviceId
    subject: str
    """Where the device sent what is wrong, for example `device.k1-left.hello`."""
    code: DeviceErrorCode
    field: str | None = None
    """The path to the wrong field, for example `active.bundle_sha256` or `3.seq` in a list of readings."""
    message: Annotated[str, Field(max_length=500)]
    """Why, and what to do."""
    suppressed: int = Field(default=0, ge=0)
    """Errors of this device since the one before that were not sent."""
    at: UtcTime


DEVICE_HELLO: Final = DeviceMessage(
    "device.{device_id}.hello",
    DeviceHello,
    summary="At every connection",
    senders=("device",),
    receivers=("deploy", "telemetry"),
    stream=DEVICES,
)
DEVICE_BYE: Final = DeviceMessage(
    "device.{device_id}.bye",
    DeviceBye,
    summary="A clean end, or the last will",
    senders=("device",),
    receivers=("telemetry",),
    stream=DEVICES,
)
DEVICE_REPLY: Final = DeviceMessage(
    "device.{device_id}.reply",
    DeviceReply,
    summary="An answer to a command",
    senders=("device",),
    receivers=("deploy",),
)
DEVICE_FETCH: Final = DeviceMessage(
    "device.{device_id}.fetch",
    FetchChunk,
    summary="A part of a bundle, please",
    senders=("device",),
    receivers=("deploy",),
)


def _command(verb: str, model: type[M], summary: str) -> DeviceMessage[M]:
    subject = f"command.{{device_id}}.{verb}"
    return DeviceMessage(subject, model, summary=summary, senders=("deploy",), receivers=("device",))


COMMAND_INFO: Final = _command("info", Info, "Say what you are and hold")
COMMAND_PING: Final = _command("ping", Ping, "Measure the clock")
COMMAND_STAGE: Final = _command("stage", Stage, "Fetch and check a bundle")
COMMAND_ACTIVATE: Final = _command("activate", Activate, "Run a staged bundle from a moment on")
COMMAND_DEACTIVATE: Final = _command("deactivate", Deactivate, "Run again what ran before")
COMMAND_DISCARD: Final = _command("discard", Discard, "Delete a bundle that does not run")
COMMAND_TRUST: Final = _command("trust", Trust, "Replace the trusted keys")
COMMAND_CHUNK: Final = _command(
    "chunk", ChunkHeader, "The head of a part of a bundle; a newline and the bytes follow"
)
DEVICE_ERROR: Final = DeviceMessage(
    "command.{device_id}.error",
    DeviceError,
    summary="What was wrong with a message of the device",
    senders=("deploy", "telemetry"),
    receivers=("device",),
)
