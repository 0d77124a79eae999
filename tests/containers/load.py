"""People who upload songs and look at their state while something happens to the containers."""

import itertools
import threading
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from tests.containers.api import PATIENCE_S, Api
from tests.support import songs
from tests.support.waiting import wait_until

_PAUSE_S: Final = 1.0
_SECONDS: Final = 4.0
_BUSY: Final = 429


@dataclass
class Load:
    """Uploads a song about every second, repeats what was not answered, and reads the state of what was accepted."""

    api: Api
    seed: int
    accepted: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """The receipts, by track."""
    repeated: Counter[str] = field(default_factory=Counter[str])
    """Requests that were not answered or answered by an error of the server, by what came instead."""
    sent: int = 0
    """Uploads that were answered or not, each repetition too."""
    polls: int = 0
    faults: list[str] = field(default_factory=list[str])
    """What a client must never see."""
    _stopped: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread])

    def __enter__(self) -> Self:
        for work in (self._upload, self._poll):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int) -> None:
        """Wait until so many further songs were accepted."""
        wanted = len(self.accepted) + count
        wait_until(
            lambda: self.faults or len(self.accepted) >= wanted,
            f"{count} more songs are accepted",
            within_s=PATIENCE_S,
        )

    def wait_for_requests(self, count: int) -> None:
        """Wait until so many further uploads were sent, whatever came of them."""
        wanted = self.sent + count
        wait_until(lambda: self.sent >= wanted, f"{count} more uploads are sent", within_s=PATIENCE_S)

    def assert_nothing_lost(self) -> str:
        """Assert that whatever was accepted is ready once; return a line about what was done."""
        for receipt in self.accepted.values():
            self.api.assert_ready(receipt)
        assert not self.faults, self.faults
        repeats = ", ".join(f"{count} {what}" for what, count in self.repeated.most_common()) or "none"
        return f"{len(self.accepted)} songs accepted and ready, {self.polls} states read; requests repeated: {repeats}"

    def _upload(self) -> None:
        for number in itertools.count(self.seed * 1000):
            data, name = songs.song(number, seconds=_SECONDS), f"{number}.wav"
            response = self._until_answered(data, name)
            if response is None:
                return
            if response.status_code == httpx.codes.ACCEPTED:
                receipt = response.json()
                self.accepted[receipt["track_id"]] = receipt
            else:
                self.faults.append(f"the upload of {name}: {response.status_code} {response.text}")
            if self._stopped.wait(_PAUSE_S):
                return

    def _until_answered(self, data: bytes, name: str) -> httpx.Response | None:
        """Repeat an upload, with one key, until it is accepted or refused; None when the time is over."""
        key = str(uuid4())
        while True:
            try:
                response = self.api.send_song(data, name, key)
            except httpx.HTTPError as error:
                self.sent += 1
                self.repeated[type(error).__name__] += 1
            else:
                self.sent += 1
                if response.status_code < httpx.codes.INTERNAL_SERVER_ERROR and response.status_code != _BUSY:
                    return response
                self.repeated[str(response.status_code)] += 1
            if self._stopped.wait(_PAUSE_S / 2):
                return None

    def _poll(self) -> None:
        while not self._stopped.wait(_PAUSE_S / 4):
            for receipt in list(self.accepted.values())[-3:]:
                try:
                    response = self.api.http.get(f"/analysis/jobs/{receipt['job_id']}")
                except httpx.HTTPError as error:
                    self.repeated[type(error).__name__] += 1
                    continue
                self.polls += 1
                if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                    self.repeated[str(response.status_code)] += 1
                elif response.is_success and response.json()["status"] in {"failed", "cancelled"}:
                    self.faults.append(f"a job ended: {response.text}")
