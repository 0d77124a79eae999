"""`k1 sim` in the terminal: the simulated devices, and what happened last."""

from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from k1_cli.output.table import Grid
from k1_contracts.escaping import escape_controls
from k1_simulator.device import DeviceState
from k1_simulator.event_log import Change

MOST_ROWS: Final = 30
_TAIL: Final = 8


class FleetPicture:
    """A row a device, or counts where they are many."""

    def __init__(self) -> None:
        self._tail: deque[str] = deque(maxlen=_TAIL)

    def note(self, change: Change) -> None:
        """Show it below the devices."""
        self._tail.append(self.words(change))

    def words(self, change: Change) -> str:
        """A change in one line."""
        at = datetime.fromtimestamp(change.unix_s).astimezone()
        detail = f": {change.detail}" if change.detail else ""
        return f"{at:%H:%M:%S} {change.device_id} {change.event}{detail}"

    def draw(self, states: Mapping[str, DeviceState]) -> RenderableType:
        """Everything as it is now."""
        table = _rows(states) if len(states) <= MOST_ROWS else _counts(states)
        return Group(table, *(Text(escape_controls(line), style="dim") for line in self._tail))


def _rows(states: Mapping[str, DeviceState]) -> Grid:
    table = Grid(
        ("device", "online", "plays", "holds", "now"),
        flexible=("device", "plays", "holds", "now"),
        middle=("device",),
    )
    for state in states.values():
        online = Text("yes", style="green") if state.online else Text("no", style="red")
        held = " ".join(sha256[:8] for sha256 in state.staged)
        table.add(state.device_id, online, plays(state), held, _doing(state))
    return table


def _counts(states: Mapping[str, DeviceState]) -> Grid:
    table = Grid(("devices", "count"), flexible=("devices",))
    online = sum(state.online for state in states.values())
    table.add("online", f"{online} of {len(states)}")
    shows = Counter(f"play {plays(state)}" for state in states.values())
    busy = Counter(_doing(state).split(" ")[0] for state in states.values() if state.online and _doing(state))
    for words, count in (*shows.most_common(MOST_ROWS), *busy.most_common()):
        table.add(words, str(count))
    return table


def plays(state: DeviceState) -> str:
    """The show in a few characters."""
    active = state.active
    if active is None:
        return "the idle show"
    version = f" v{active.version}" if active.version else ""
    return f"{active.track_id or 'a factory show'}{version} ({active.bundle_sha256[:8]})"


def _doing(state: DeviceState) -> str:
    if state.received_bytes is not None:
        return f"fetches {state.received_bytes / 1000:.0f} kB"
    if state.armed:
        return f"armed {state.armed[:8]}"
    return "" if state.online else state.trouble or ""
