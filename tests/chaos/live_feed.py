"""A client of a track's live feed that reconnects as an EventSource does."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from tests.support.system import System


@dataclass
class LiveFeed:
    """Reads the feed in `run` until `stop`; after a broken connection it resumes after the last event."""

    system: System
    track_id: str
    last_event_id: int
    """The events after this one are read."""
    drifts: list[float] = field(default_factory=list)
    """The field `drift_ms` of each sample, in the order of arrival."""
    notices: list[str] = field(default_factory=list)
    """Names of events that are not samples, such as `missed` and `dropped`."""
    connections: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Read until `stop`."""
        while not self._stopped.is_set():
            with suppress(httpx.HTTPError):
                self._read()
            time.sleep(0.05)

    def stop(self) -> None:
        """End `run` after the next line that arrives."""
        self._stopped.set()

    def _read(self) -> None:
        url = f"{self.system.url}/api/v1/tracks/{self.track_id}/telemetry/stream"
        headers = {"Last-Event-ID": str(self.last_event_id)}
        with httpx.stream("GET", url, headers=headers, timeout=60) as response:
            if response.status_code != httpx.codes.OK:
                response.read()
                return
            self.connections += 1
            event: dict[str, str] = {}
            for line in response.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                else:
                    self._receive(event)
                    event = {}
                if self._stopped.is_set():
                    return

    def _receive(self, event: dict[str, str]) -> None:
        if "id" in event:
            self.last_event_id = int(event["id"])
        if "event" in event:
            self.notices.append(event["event"])
        elif "data" in event:
            self.drifts.append(json.loads(event["data"])["drift_ms"])
