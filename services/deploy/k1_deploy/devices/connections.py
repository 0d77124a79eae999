"""Which connections use which device's credential, and what is wrong with that: pure, with the time passed in.

One credential is for one device, so two live connections with it mean that it was copied. A second connection alone does
not: when a device loses its network, the server keeps the old connection for a while and the device makes a new one. The
old one counts as alive only when messages came in on it after the new one had begun; a live device sends readings.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from k1_contracts.messages.telemetry import AlarmLevel, DeviceAlarm

MOST_CONNECTIONS: Final = 4
"""Of one credential; the oldest beyond are cut off."""
IN_FLIGHT: Final = timedelta(seconds=1)
"""What a dead connection may still have brought after the new one began."""
TAKEOVERS: Final = 3
TAKEOVERS_WITHIN: Final = timedelta(seconds=60)
"""A device that lost its network takes its own MQTT session over once; two clients do it in turn, again and again."""
CONNECTS: Final = 60
CONNECTS_WITHIN: Final = timedelta(seconds=60)
"""A device whose network breaks connects again after about a second, and then stays for a while."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A device's connection to a server."""

    server_id: str
    number: int
    device_id: str
    public_key: str
    """Of the credential."""
    host: str
    started_at: datetime
    client_id: str | None = None
    """Over MQTT."""
    expected_client_id: str | None = None
    """Over MQTT, the client id of the credential file."""

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from all other connections."""
        return self.server_id, self.number


@dataclass(frozen=True, slots=True)
class _Condition:
    """What is wrong with the use of a credential."""

    level: AlarmLevel
    reason: str
    since: datetime


@dataclass(slots=True)
class ConnectionTable:
    """The open connections of all devices, and the alarms that follow from them."""

    _open: dict[tuple[str, int], Connection] = field(default_factory=dict[tuple[str, int], Connection])
    _takeovers: defaultdict[str, deque[datetime]] = field(default_factory=lambda: defaultdict(deque))
    _connects: defaultdict[str, deque[datetime]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=CONNECTS))
    )
    _busy: dict[str, datetime] = field(default_factory=dict[str, datetime])
    """Devices that connect too often, since when."""
    _taken_in_turn: dict[str, datetime] = field(default_factory=dict[str, datetime])
    """Devices whose MQTT session is taken over again and again, since when."""
    _counts: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    """Messages that had come in on a connection when it was looked at first beside a newer one."""
    _shared: dict[str, _Condition] = field(default_factory=dict[str, _Condition])
    """By credential: two of its connections were seen alive."""
    _raised: dict[str, DeviceAlarm] = field(default_factory=dict[str, DeviceAlarm])

    def connected(self, connection: Connection) -> None:
        """Note a new connection."""
        self._open[connection.key] = connection
        self._connects[connection.device_id].append(connection.started_at)

    def disconnected(self, key: tuple[str, int], at: datetime, *, taken_over: bool) -> None:
        """Note the end of a connection; `taken_over`: by another with the same MQTT client id."""
        connection = self._open.pop(key, None)
        self._counts.pop(key, None)
        if connection is not None and taken_over:
            self._takeovers[connection.device_id].append(at)

    def replace(self, connections: Iterable[Connection]) -> None:
        """Note all connections that there are."""
        self._open = {connection.key: connection for connection in connections}
        self._counts = {key: count for key, count in self._counts.items() if key in self._open}

    def several(self) -> list[list[Connection]]:
        """Return the connections of each credential that has more than one, oldest first."""
        by_key: defaultdict[str, list[Connection]] = defaultdict(list)
        for connection in self._open.values():
            by_key[connection.public_key].append(connection)
        return [sorted(some, key=lambda c: c.started_at) for some in by_key.values() if len(some) > 1]

    def saw_messages(
        self, connections: list[Connection], counts: Mapping[tuple[str, int], int], now: datetime
    ) -> None:
        """Judge the connections of one credential, oldest first; `counts`: messages that came in on each so far."""
        for older, newer in pairwise(connections):
            count = counts.get(older.key)
            if count is None or now < newer.started_at + IN_FLIGHT:
                continue
            if count > self._counts.setdefault(older.key, count):
                reason = f"two connections use the credential, from {older.host} and {newer.host}"
                self._shared.setdefault(older.public_key, _Condition("alert", reason, newer.started_at))

    def changes(self, now: datetime) -> list[DeviceAlarm]:
        """Return the alarms that are raised or cleared since the last call."""
        conditions = self._conditions(now)
        changes: list[DeviceAlarm] = []
        for device_id in [*self._raised]:
            condition = conditions.get(device_id)
            raised = self._raised[device_id]
            if condition is None or (condition.reason, condition.since) != (raised.reason, raised.since):
                ended = {"state": "cleared", "reason": "one connection as it should be", "at": now}
                changes.append(self._raised.pop(device_id).model_copy(update=ended))
        for device_id, condition in conditions.items():
            if device_id not in self._raised:
                alarm = DeviceAlarm(
                    device_id=device_id,
                    kind="credential",
                    level=condition.level,
                    state="raised",
                    reason=condition.reason,
                    since=condition.since,
                    at=now,
                )
                self._raised[device_id] = alarm
                changes.append(alarm)
        return changes

    def alarm(self, device_id: str) -> DeviceAlarm | None:
        """Return what is raised for a device."""
        return self._raised.get(device_id)

    def _conditions(self, now: datetime) -> dict[str, _Condition]:
        """By device, the gravest."""
        found: dict[str, _Condition] = {}
        for connection in sorted(self._open.values(), key=lambda c: c.started_at):
            if connection.client_id != connection.expected_client_id:
                reason = "the MQTT client id is not the one of the credential file, others can guess it"
                found[connection.device_id] = _Condition("amber", reason, connection.started_at)
        for device_id, times in [*self._connects.items()]:
            if now - times[-1] > CONNECTS_WITHIN:
                del self._connects[device_id]
                self._busy.pop(device_id, None)
            elif len(times) == CONNECTS and times[-1] - times[0] <= CONNECTS_WITHIN:
                self._busy.setdefault(device_id, times[0])
        for device_id, since in self._busy.items():
            reason = f"it connected {CONNECTS} times in {CONNECTS_WITHIN.seconds} s"
            found[device_id] = _Condition("alert", reason, since)
        self._forget_takeovers(now)
        for device_id, since in self._taken_in_turn.items():
            reason = f"the MQTT session was taken over {TAKEOVERS} times in {TAKEOVERS_WITHIN.seconds} s"
            found[device_id] = _Condition("alert", reason, since)
        several = {some[0].public_key: some[0].device_id for some in self.several()}
        self._shared = {key: condition for key, condition in self._shared.items() if key in several}
        return found | {several[key]: condition for key, condition in self._shared.items()}

    def _forget_takeovers(self, now: datetime) -> None:
        """Those that are long ago; when all are, nothing is taken over in turn any more."""
        for device_id, times in [*self._takeovers.items()]:
            while times and now - times[0] > TAKEOVERS_WITHIN:
                times.popleft()
            if len(times) >= TAKEOVERS:
                self._taken_in_turn.setdefault(device_id, times[0])
            if not times:
                del self._takeovers[device_id]
                self._taken_in_turn.pop(device_id, None)
