"""Renders the simulated devices and their last changes for the terminal; for `k1 sim`."""

from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from k1_cli.output.table import TextTable
from k1_contracts.escaping import escape_controls
from k1_simulator.device import DeviceState
from k1_simulator.event_log import Change

MAX_ROWS: Final = 30
_LOG_TAIL_SIZE: Final = 8


class FleetView:
    """Shows one row per device, or counts where there are many devices."""

    def __init__(self) -> None:
        self._log_tail: deque[str] = deque(maxlen=_LOG_TAIL_SIZE)

    def add_change(self, change: Change) -> None:
        """Add a change to the lines below the devices."""
        self._log_tail.append(self.format_change(change))

    def format_change(self, change: Change) -> str:
        """Return a change as one line."""
        at = datetime.fromtimestamp(change.unix_s).astimezone()
        detail = f": {change.detail}" if change.detail else ""
        return f"{at:%H:%M:%S} {change.device_id} {change.event}{detail}"

    def draw(self, states: Mapping[str, DeviceState]) -> RenderableType:
        """Return the devices in these states and the last changes."""
        table = _rows(states) if len(states) <= MAX_ROWS else _counts(states)
        return Group(table, *(Text(escape_controls(line), style="dim") for line in self._log_tail))


def _rows(states: Mapping[str, DeviceState]) -> TextTable:
    table = TextTable(
        ("device", "online", "plays", "holds", "now"),
        flexible=("device", "plays", "holds", "now"),
        cut_in_middle=("device",),
    )
    for state in states.values():
        online = Text("yes", style="green") if state.online else Text("no", style="red")
        held = " ".join(sha256[:8] for sha256 in state.staged)
        table.add(state.device_id, online, describe_show(state), held, _current_action(state))
    return table


def _counts(states: Mapping[str, DeviceState]) -> TextTable:
    table = TextTable(("devices", "count"), flexible=("devices",))
    online = sum(state.online for state in states.values())
    table.add("online", f"{online} of {len(states)}")
    shows = Counter(f"play {describe_show(state)}" for state in states.values())
    busy = Counter(
        _current_action(state).split(" ")[0]
        for state in states.values()
        if state.online and _current_action(state)
    )
    for text, count in (*shows.most_common(MAX_ROWS), *busy.most_common()):
        table.add(text, str(count))
    return table


def describe_show(state: DeviceState) -> str:
    """Return the show that a device plays, in a few characters."""
    active = state.active
    if active is None:
        return "the idle show"
    version = f" v{active.version}" if active.version else ""
    return f"{active.track_id or 'a factory show'}{version} ({active.bundle_sha256[:8]})"


def _current_action(state: DeviceState) -> str:
    if state.received_bytes is not None:
        return f"fetches {state.received_bytes / 1000:.0f} kB"
    if state.armed:
        return f"armed {state.armed[:8]}"
    return "" if state.online else state.trouble or ""
