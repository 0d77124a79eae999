"""Defines the faults: what goes wrong, on which devices, and how often. `fault_file.py` reads them from YAML."""

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from k1_contracts.messages.deploy.device_link import ReplyCode, Verb

Seconds = Annotated[float, Field(ge=0, le=24 * 3600)]


class Fault(BaseModel):
    """A fault of the first `share` of the matching devices, in an order that depends on the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    devices: str | list[str] = "*"
    """Ids or patterns with `*`, `?` and `[...]`."""
    share: float = Field(default=1.0, ge=0, le=1)
    repeat: Literal["once", "always"] = "once"
    """`once`: it happens one time on each device."""

    def matches(self, device_id: str) -> bool:
        """Return whether a pattern matches the device, before the share applies."""
        patterns = [self.devices] if isinstance(self.devices, str) else self.devices
        return any(fnmatchcase(device_id, pattern) for pattern in patterns)


class Offline(Fault):
    """The connection is cut without a bye. At `start`, the device connects this much later."""

    fault: Literal["offline"]
    step: Verb | Literal["start"]
    for_s: Seconds
    after_s: Seconds = 0
    """The time after the command. 0: the command itself is lost."""


class Reject(Fault):
    """The command is refused."""

    fault: Literal["reject"]
    step: Verb
    code: ReplyCode = "busy"


class Slow(Fault):
    """The command is executed late; a transfer may be slow as well."""

    fault: Literal["slow"]
    step: Verb
    for_s: Seconds = 0
    bytes_per_s: float | None = Field(default=None, gt=0)
    """The rate of a transfer."""


class Mute(Fault):
    """The command is executed, and replied to only when it is repeated."""

    fault: Literal["mute"]
    step: Verb


class LieSuccess(Fault):
    """The reply to the command is `done`, but it is not executed."""

    fault: Literal["lie_success"]
    step: Literal["stage", "activate", "deactivate", "discard"]


class NoSpace(Fault):
    """A bundle is refused because the flash is full."""

    fault: Literal["no_space"]


class DropAt(Fault):
    """A transfer is interrupted at this byte; the device continues from there, unless it is `always`."""

    fault: Literal["drop_at"]
    byte: int = Field(ge=0)


class Corrupt(Fault):
    """This byte of a bundle arrives changed."""

    fault: Literal["corrupt"]
    byte: int = Field(default=0, ge=0)


class ActivateError(Fault):
    """The bundle does not start at its activation time."""

    fault: Literal["activate_error"]


class CrashAfterActivate(Fault):
    """The bundle starts, and the device restarts without a bye."""

    fault: Literal["crash_after_activate"]
    comes_back: Literal["old", "new"]
    """Which bundle runs after the restart."""
    for_s: Seconds = 1.0
    """How long the restart takes."""


class TelemetryFault(Fault):
    """A fault that shows in the telemetry, from an activation (`activate`) or from the device's start (`start`)."""

    step: Literal["start", "activate"] = "activate"
    after_s: Seconds = 0


class DriftRamp(TelemetryFault):
    """The show drifts away from the clock."""

    fault: Literal["drift_ramp"]
    ms_per_s: float = 20.0
    limit_ms: float = Field(default=400.0, gt=0)


class DriftSpot(TelemetryFault):
    """The show is off the beat in one part of the song, as with a map that is wrong there."""

    fault: Literal["drift_spot"]
    from_ms: float = Field(ge=0)
    to_ms: float = Field(gt=0)
    drift_ms: float = 60.0


class Overheat(TelemetryFault):
    """The board gets hotter."""

    fault: Literal["overheat"]
    degrees_per_s: float = Field(default=5.0, gt=0)
    limit_c: float = Field(default=95.0, le=150)


class LowFps(TelemetryFault):
    """Frames are lost."""

    fault: Literal["low_fps"]
    fps: float = Field(default=12.0, ge=0, le=1000)


AnyFault = Annotated[
    Offline
    | Reject
    | Slow
    | Mute
    | LieSuccess
    | NoSpace
    | DropAt
    | Corrupt
    | ActivateError
    | CrashAfterActivate
    | DriftRamp
    | DriftSpot
    | Overheat
    | LowFps,
    Field(discriminator="fault"),
]


class FaultPlan(BaseModel):
    """All faults of a run; if several match, the first is used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faults: list[AnyFault] = []

    def assign(self, device_ids: Sequence[str], seed: int) -> dict[str, list[AnyFault]]:
        """Return the faults of each device; they depend only on the ids and the seed."""
        given: dict[str, list[AnyFault]] = {device_id: [] for device_id in device_ids}
        for number, fault in enumerate(self.faults):
            matching = sorted(
                filter(fault.matches, set(device_ids)), key=lambda one: _rank(seed, number, one)
            )
            for device_id in matching[: round(fault.share * len(matching))]:
                given[device_id].append(fault)
        return given


def _rank(seed: int, number: int, device_id: str) -> bytes:
    """Return a sort key that orders the devices for a fault by the seed."""
    return hashlib.sha256(f"{seed}:{number}:{device_id}".encode()).digest()
