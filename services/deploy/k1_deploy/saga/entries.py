"""The log of a deployment: small records, written in order, never changed.

The log is the truth. An `Intent` stands before each step on a device and an `Outcome` after it; what people,
alarms and the saga itself decided stands between them. `transitions.fold` makes the state of them.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from k1_contracts.base import Contract, UtcTime
from k1_contracts.messages.bundles import BundleRef
from k1_contracts.messages.deployments import Activation, DeploymentStatus, Strategy
from k1_contracts.messages.device_link import DeviceId, RunningBundle
from k1_contracts.messages.telemetry import AlarmKind

DeviceStepName = Literal["check", "stage", "activate", "verify", "discard", "rollback"]
"""The steps that are taken on one device. Observing and committing concern all of them."""
UNDOES: Final[dict[DeviceStepName, DeviceStepName]] = {"stage": "discard", "activate": "rollback"}
"""What takes a step back; registered with its intent, before anything is done."""


class Entry(Contract):
    """One record."""

    at: UtcTime


class Opened(Entry):
    """The deployment exists."""

    kind: Literal["opened"] = "opened"
    bundle: BundleRef | None = None
    """None: there is no such bundle, and `problem` says why."""
    device_ids: list[DeviceId]
    strategy: Strategy
    activation: Activation
    guard_s: float
    """Seconds after the success in which drift still rolls a device back."""
    problem: str | None = None
    """Why the order cannot be carried out at all."""
    problem_code: str | None = None


class Locked(Entry):
    """These devices are this deployment's alone; the superseded ones belong to a later one for good."""

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
    """Rises when a device is to do again what it has answered already."""
    planned_for: UtcTime | None = None
    """Of an activation: the agreed moment."""


class Outcome(Entry):
    """A step ended.

    `interrupted` is an activation whose moment passed while nobody was there to see to it, and that did not
    happen: the device runs what it ran before, and a new moment may be agreed.
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
    """Of an activation, by our clock."""
    error_ms: float | None = None
    """Of an activation: how far from the agreed moment."""


class Unfit(Entry):
    """A device failed before a step could begin on it: its clock could not be measured, say."""

    kind: Literal["unfit"] = "unfit"
    device_id: DeviceId
    reason: str


class Alarmed(Entry):
    """A device that runs the new bundle is not well."""

    kind: Literal["alarmed"] = "alarmed"
    device_id: DeviceId
    alarm: AlarmKind
    reason: str


class Strayed(Entry):
    """A device that ran the new bundle came back with another: it was restarted, say."""

    kind: Literal["strayed"] = "strayed"
    device_id: DeviceId
    reason: str


class Healed(Entry):
    """A device that was `rollback_pending` is as it should be."""

    kind: Literal["healed"] = "healed"
    device_id: DeviceId
    detail: str


class Controlled(Entry):
    """A person intervened."""

    kind: Literal["controlled"] = "controlled"
    action: Literal["cancel", "rollback", "pause", "resume"]
    by: str
    reason: str | None = None


class Became(Entry):
    """The deployment's status changed."""

    kind: Literal["became"] = "became"
    status: DeploymentStatus
    code: str | None = None
    reason: str | None = None
    """Why it turned back."""
    until: UtcTime | None = None
    """Of `observing`: its end."""


class TookOver(Entry):
    """A process took the deployment from one that had gone."""

    kind: Literal["took_over"] = "took_over"
    owner: str
    fence: int


class Closed(Entry):
    """The guard after a success is over: nothing is watched any more."""

    kind: Literal["closed"] = "closed"


LogEntry = (
    Opened
    | Locked
    | Intent
    | Outcome
    | Unfit
    | Alarmed
    | Strayed
    | Healed
    | Controlled
    | Became
    | TookOver
    | Closed
)
_ENTRY: Final[TypeAdapter[LogEntry]] = TypeAdapter(Annotated[LogEntry, Field(discriminator="kind")])


def to_json(entry: LogEntry) -> str:
    """The row in the log."""
    return entry.model_dump_json(exclude_none=True)


def from_json(text: str | bytes) -> LogEntry:
    """The entry of a row.

    Raises:
        pydantic.ValidationError: it is none.
    """
    return _ENTRY.validate_json(text)


def read_log(rows: Iterable[str | bytes]) -> list[LogEntry]:
    """The entries of rows in their order."""
    return [_ENTRY.validate_json(row) for row in rows]


def logged(moment: datetime) -> datetime:
    """The moment as the log keeps it, to the millisecond: a state that was folded again has the same times."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def command_id(deployment_id: str, step: str, device_id: str, round_: int) -> str:
    """The id of a step's command: the same whoever sends it, however often; at most 80 characters."""
    return f"{deployment_id.removeprefix('dep_')}:{step}:{device_id}:{round_}"
