"""What shall go wrong: which devices, what, and whether once or always. `fault_file.py` reads it from YAML."""

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from k1_contracts.devices import ReplyCode, Verb

Seconds = Annotated[float, Field(ge=0, le=24 * 3600)]


class Fault(BaseModel):
    """Whom it befalls: the first `share` of the devices that match, in an order drawn from the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    devices: str | list[str] = "*"
    """Ids or patterns with `*`, `?` and `[...]`."""
    share: float = Field(default=1.0, ge=0, le=1)
    repeat: Literal["once", "always"] = "once"
    """`once`: each of the devices meets it one time."""

    def matches(self, device_id: str) -> bool:
        """Whether a pattern fits, before the share."""
        patterns = [self.devices] if isinstance(self.devices, str) else self.devices
        return any(fnmatchcase(device_id, pattern) for pattern in patterns)


class Offline(Fault):
    """The connection is cut without a word. At `start`: it comes so much later."""

    fault: Literal["offline"]
    step: Verb | Literal["start"]
    for_s: Seconds
    after_s: Seconds = 0
    """So long after the command came. 0: the command itself is lost."""


class Reject(Fault):
    """The command is refused."""

    fault: Literal["reject"]
    step: Verb
    code: ReplyCode = "busy"


class Slow(Fault):
    """The command is taken up late; a transfer may be slow as well."""

    fault: Literal["slow"]
    step: Verb
    for_s: Seconds = 0
    bytes_per_s: float | None = Field(default=None, gt=0)
    """Of a transfer."""


class Mute(Fault):
    """The command is obeyed and never answered, unless it comes again."""

    fault: Literal["mute"]
    step: Verb


class LieSuccess(Fault):
    """The command is answered `done`, and nothing is done."""

    fault: Literal["lie_success"]
    step: Literal["stage", "activate", "deactivate", "discard"]


class NoSpace(Fault):
    """A bundle is refused for want of space."""

    fault: Literal["no_space"]


class DropAt(Fault):
    """A transfer breaks off at this byte; the device goes on from there, unless it is `always`."""

    fault: Literal["drop_at"]
    byte: int = Field(ge=0)


class Corrupt(Fault):
    """This byte of a bundle arrives changed."""

    fault: Literal["corrupt"]
    byte: int = Field(default=0, ge=0)


class ActivateError(Fault):
    """The moment comes, and the bundle does not run."""

    fault: Literal["activate_error"]


class CrashAfterActivate(Fault):
    """The bundle begins to run, and the device starts anew without a word."""

    fault: Literal["crash_after_activate"]
    comes_back: Literal["old", "new"]
    """What runs after the start."""
    for_s: Seconds = 1.0
    """How long the start takes."""


class Ailment(Fault):
    """Shows in the telemetry from an activation (`activate`) or from the device's start on (`start`)."""

    step: Literal["start", "activate"] = "activate"
    after_s: Seconds = 0


class DriftRamp(Ailment):
    """The show runs away from the clock."""

    fault: Literal["drift_ramp"]
    ms_per_s: float = 20.0
    limit_ms: float = Field(default=400.0, gt=0)


class Overheat(Ailment):
    """The board gets hotter."""

    fault: Literal["overheat"]
    degrees_per_s: float = Field(default=5.0, gt=0)
    limit_c: float = Field(default=95.0, le=150)


class LowFps(Ailment):
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
    | Overheat
    | LowFps,
    Field(discriminator="fault"),
]


class FaultPlan(BaseModel):
    """All faults of a run; of several for one occasion the first counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faults: list[AnyFault] = []

    def assigned(self, device_ids: Sequence[str], seed: int) -> dict[str, list[AnyFault]]:
        """The faults of each device; the same ids and seed give the same."""
        given: dict[str, list[AnyFault]] = {device_id: [] for device_id in device_ids}
        for number, fault in enumerate(self.faults):
            matching = sorted(filter(fault.matches, set(device_ids)), key=lambda one: _lot(seed, number, one))
            for device_id in matching[: round(fault.share * len(matching))]:
                given[device_id].append(fault)
        return given


def _lot(seed: int, number: int, device_id: str) -> bytes:
    """Which of two devices a fault befalls first."""
    return hashlib.sha256(f"{seed}:{number}:{device_id}".encode()).digest()
