"""Records what happens to the devices of a process, for measurements and for `k1 sim`."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_KEPT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Activation:
    """A bundle started to run at its activation time."""

    device_id: str
    command_id: str
    bundle_sha256: str
    wanted_ms: float | None
    """The requested time on the device clock; None means immediately."""
    at_ms: float
    """The actual time on the device clock."""
    monotonic_s: float
    """The same time on the host's clock, `time.monotonic()`; comparable between devices."""
    unix_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a device's state."""

    unix_s: float
    device_id: str
    event: str
    """`online`, `offline`, `plays`, `fault`, `error`, or the verb and status of a reply, such as `stage done`."""
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class FlashContents:
    """The bundles on the flash of a device after a start or after a change."""

    device_id: str
    active: str | None
    """The SHA-256 of the bundle that runs; None means the idle show."""
    others: tuple[str, ...]
    command_ids: tuple[str, ...] = ()
    """The commands that caused the change; empty after a start."""


class EventLog:
    """Keeps the newest activations, and passes changes to callbacks without keeping them."""

    def __init__(
        self,
        on_change: Callable[[Change], None] | None = None,
        on_flash_change: Callable[[FlashContents], None] | None = None,
    ) -> None:
        self.activations: deque[Activation] = deque(maxlen=_KEPT)
        self._on_change = on_change
        self._on_flash_change = on_flash_change

    def record(self, device_id: str, event: str, detail: str | None = None) -> None:
        """Report a change."""
        if self._on_change is not None:
            self._on_change(Change(time.time(), device_id, event, detail))

    def record_flash(self, contents: FlashContents) -> None:
        """Report the contents of a flash."""
        if self._on_flash_change is not None:
            self._on_flash_change(contents)
