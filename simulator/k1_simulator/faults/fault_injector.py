"""Selects the faults that are still to happen on one device."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from k1_simulator.faults.models import (
    AnyFault,
    Fault,
    LieSuccess,
    Mute,
    NoSpace,
    Offline,
    Reject,
    Slow,
    TelemetryFault,
)

F = TypeVar("F", bound=Fault)
CommandFault = Offline | Reject | Slow | Mute | LieSuccess | NoSpace


class FaultInjector:
    """Returns a fault when it is due: those of `once` one time, those of `always` every time."""

    def __init__(self, faults: Iterable[AnyFault] = ()) -> None:
        self._faults: list[Fault] = list(faults)
        self.over = False
        """No fault happens any more, not even one that has started."""

    def find(self, kind: type[F], when: Callable[[F], bool] = lambda _: True) -> F | None:
        """Return the first fault of a kind that is still to happen, and keep it."""
        return next((fault for fault in self._faults if isinstance(fault, kind) and when(fault)), None)

    def take(self, kind: type[F], when: Callable[[F], bool] = lambda _: True) -> F | None:
        """Return the first fault of a kind that is still to happen, and mark it as happened."""
        found = self.find(kind, when)
        if found is not None:
            self.spend(found)
        return found

    def spend(self, fault: Fault) -> None:
        """Mark a fault as happened."""
        if fault.repeat == "once":
            self._faults = [kept for kept in self._faults if kept is not fault]

    def clear(self) -> None:
        """End all faults."""
        self._faults.clear()
        self.over = True

    def on_command(self, verb: str) -> CommandFault | None:
        """Return the fault of a command that was received, or None."""
        for fault in self._faults:
            if not isinstance(fault, CommandFault):
                continue
            if verb == ("stage" if isinstance(fault, NoSpace) else fault.step):
                self.spend(fault)
                return fault
        return None

    def telemetry_faults(self, step: str) -> list[TelemetryFault]:
        """Return the faults that show in the telemetry from now on."""
        found = [fault for fault in self._faults if isinstance(fault, TelemetryFault) and fault.step == step]
        for fault in found:
            self.spend(fault)
        return found
