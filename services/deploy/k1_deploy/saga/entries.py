"""The entries of a deployment's event log: small records, in order, never changed.

The log is the source of truth. An `Intent` is written before each step on a device and an `Outcome` after it; between
them are alarms, controls by people, and the saga's decisions. `transitions.fold` computes the state.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from k1_contracts.base import Contract, UtcTime
from k1_contracts.messages.deploy.bundles import BundleRef
from k1_contracts.messages.deploy.deployments import Activation, DeploymentStatus, Strategy
from k1_contracts.messages.deploy.device_link import DeviceId, RunningBundle
from k1_contracts.messages.telemetry import AlarmKind

DeviceStepName = Literal["check", "stage", "activate", "verify", "discard", "rollback"]
"""The steps on a single device. Observing and committing concern the whole batch."""
UNDOES: Final[dict[DeviceStepName, DeviceStepName]] = {"stage": "discard", "activate": "rollback"}
"""The compensation of a step; the step's intent registers it before anything is done."""


class Entry(Contract):
    """One entry."""

    at: UtcTime


class Opened(Entry):
    """The deployment was opened."""

    kind: Literal["opened"] = "opened"
    bundle: BundleRef | None = None
    """None: there is no such bundle, and `problem` says why."""
    device_ids: list[DeviceId]
    strategy: Strategy
    activation: Activation
    guard_s: float
    """Seconds after the success in which drift still rolls a device back."""
    problem: str | None = None
    """Why the order cannot be carried out."""
    problem_code: str | None = None


class Locked(Entry):
    """The deployment locked these devices; the superseded ones belong to a later deployment."""

    kind: Literal["locked"] = "locked"
    device_ids: list[DeviceId]
    superseded: list[DeviceId] = Field(default_factory=list[str])


class Intent(Entry):
    """A step is about to begin."""

    kind: Literal["intent"] = "intent"
    device_id: DeviceId
    step: DeviceStepName
    command_id: str
    round: int = 0
    """Increases when a device is to repeat a command that it has replied to."""
    planned_for: UtcTime | None = None
    """Of an activation: the agreed moment."""


class Outcome(Entry):
    """A step ended.

    `interrupted` is an activation that did not happen, because no process ran the deployment at the agreed moment: the
    device runs what it ran before, and a new moment may be agreed.
    """

    kind: Literal["outcome"] = "outcome"
    device_id: DeviceId
    step: DeviceStepName
    result: Literal["done", "failed", "interrupted"]
    reason: str | None = None
    """Of `failed`: what went wrong, for a person."""
    before: RunningBundle | None = None
    """Of a check: what the device runs, None for its idle show."""
    happened_at: UtcTime | None = None
    """Of an activation, by the service's clock."""
    error_ms: float | None = None
    """Of an activation: the difference from the agreed moment."""


class CheckFailed(Entry):
    """A device failed before a step could begin on it, for example because its clock could not be measured."""

    kind: Literal["unfit"] = "unfit"
    device_id: DeviceId
    reason: str


class Alarmed(Entry):
    """An alarm was raised for a device that runs the new bundle."""

    kind: Literal["alarmed"] = "alarmed"
    device_id: DeviceId
    alarm: AlarmKind
    reason: str


class Diverged(Entry):
    """A device that ran the new bundle reconnected with another, for example after a restart."""

    kind: Literal["strayed"] = "strayed"
    device_id: DeviceId
    reason: str


class Reconciled(Entry):
    """A device that was `rollback_pending` is back in its desired state."""

    kind: Literal["healed"] = "healed"
    device_id: DeviceId
    detail: str


class QualityMeasured(Entry):
    """The drift of a device of the first batch was measured for the quality gate."""

    kind: Literal["quality"] = "quality"
    device_id: DeviceId
    passed: bool
    bars: int
    """How many bars were measured without a break."""
    max_drift_ms: float | None = None
    """The greatest distance from zero; None: no reading came."""
    reason: str | None = None
    """Why it did not pass."""


class Controlled(Entry):
    """A person intervened."""

    kind: Literal["controlled"] = "controlled"
    action: Literal["cancel", "rollback", "pause", "resume"]
    by: str
    reason: str | None = None


class StatusChanged(Entry):
    """The deployment's status changed."""

    kind: Literal["became"] = "became"
    status: DeploymentStatus
    code: str | None = None
    reason: str | None = None
    """Why it turned back."""
    until: UtcTime | None = None
    """Of `observing`: its end."""


class LeaseTakenOver(Entry):
    """A process took the deployment over; the owner before did not release it."""

    kind: Literal["took_over"] = "took_over"
    owner: str
    fence: int


class Closed(Entry):
    """The guard time after a success is over: alarms have no effect any more."""

    kind: Literal["closed"] = "closed"


LogEntry = (
    Opened
    | Locked
    | Intent
    | Outcome
    | CheckFailed
    | Alarmed
    | Diverged
    | Reconciled
    | QualityMeasured
    | Controlled
    | StatusChanged
    | LeaseTakenOver
    | Closed
)
_ENTRY: Final[TypeAdapter[LogEntry]] = TypeAdapter(Annotated[LogEntry, Field(discriminator="kind")])


def to_json(entry: LogEntry) -> str:
    """Return the row of an entry."""
    return entry.model_dump_json(exclude_none=True)


def from_json(text: str | bytes) -> LogEntry:
    """Return the entry of a row.

    Raises:
        pydantic.ValidationError: the row is not a valid entry.
    """
    return _ENTRY.validate_json(text)


def read_log(rows: Iterable[str | bytes]) -> list[LogEntry]:
    """Return the entries of rows in their order."""
    return [_ENTRY.validate_json(row) for row in rows]


def truncate_to_ms(moment: datetime) -> datetime:
    """Return the moment as the log stores it, so that a state that is folded again has the same times."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def command_id(deployment_id: str, step: str, device_id: str, round_: int) -> str:
    """Return the id of a step's command, the same for every sender and retry; at most 80 characters."""
    return f"{deployment_id.removeprefix('dep_')}:{step}:{device_id}:{round_}"
