"""What happened to the devices of a process, for measurements and for people who watch."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_KEPT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Activation:
    """A bundle began to run at its moment."""

    device_id: str
    command_id: str
    bundle_sha256: str
    wanted_ms: float | None
    """When it was to be, device clock; None: at once."""
    at_ms: float
    """When it was, device clock."""
    monotonic_s: float
    """The same moment on the host's clock, `time.monotonic()`: comparable between devices."""
    unix_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened to a device."""

    unix_s: float
    device_id: str
    event: str
    """`online`, `offline`, `plays`, `fault`, `error`, or verb and status of an answer such as `stage done`."""
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """What the flash of a device holds from now on, after a start or after each change of it."""

    device_id: str
    active: str | None
    """The SHA-256 of the bundle that runs; None is the idle show."""
    others: tuple[str, ...]
    command_ids: tuple[str, ...] = ()
    """The commands that made the change; none at a start."""


class Journal:
    """The newest activations; changes go to whoever listens and are not kept."""

    def __init__(
        self,
        on_change: Callable[[Change], None] | None = None,
        on_holding: Callable[[Holding], None] | None = None,
    ) -> None:
        self.activations: deque[Activation] = deque(maxlen=_KEPT)
        self._on_change = on_change
        self._on_holding = on_holding

    def note(self, device_id: str, event: str, detail: str | None = None) -> None:
        """Tell of a change."""
        if self._on_change is not None:
            self._on_change(Change(time.time(), device_id, event, detail))

    def holds(self, holding: Holding) -> None:
        """Tell what is on a flash."""
        if self._on_holding is not None:
            self._on_holding(holding)
