"""The faults that one device has not met yet."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from k1_simulator.faults import Ailment, AnyFault, Fault, LieSuccess, Mute, NoSpace, Offline, Reject, Slow

F = TypeVar("F", bound=Fault)
CommandFault = Offline | Reject | Slow | Mute | LieSuccess | NoSpace


class FaultBox:
    """Hands out a fault on its occasion: those of `once` one time, those of `always` every time."""

    def __init__(self, faults: Iterable[AnyFault] = ()) -> None:
        self._faults: list[Fault] = list(faults)
        self.over = False
        """Nothing goes wrong any more, not even what had begun to."""

    def find(self, kind: type[F], when: Callable[[F], bool] = lambda _: True) -> F | None:
        """The first of a kind that is still to come; it stays."""
        return next((fault for fault in self._faults if isinstance(fault, kind) and when(fault)), None)

    def take(self, kind: type[F], when: Callable[[F], bool] = lambda _: True) -> F | None:
        """The first of a kind that is still to come, which happens now."""
        found = self.find(kind, when)
        if found is not None:
            self.spend(found)
        return found

    def spend(self, fault: Fault) -> None:
        """It happened."""
        if fault.repeat == "once":
            self._faults = [kept for kept in self._faults if kept is not fault]

    def clear(self) -> None:
        """Nothing goes wrong from now on."""
        self._faults.clear()
        self.over = True

    def on_command(self, verb: str) -> CommandFault | None:
        """What happens to a command that just came."""
        for fault in self._faults:
            if not isinstance(fault, CommandFault):
                continue
            if verb == ("stage" if isinstance(fault, NoSpace) else fault.step):
                self.spend(fault)
                return fault
        return None

    def ailments(self, step: str) -> list[Ailment]:
        """What shows in the telemetry from now on."""
        found = [fault for fault in self._faults if isinstance(fault, Ailment) and fault.step == step]
        for fault in found:
            self.spend(fault)
        return found
