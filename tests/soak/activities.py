"""What people and devices do during a soak; each records what was accepted."""

import contextlib
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx

from k1_cli.stack.simulated_devices import PREFIX
from k1_contracts.messages.accounts.authentication import (
    AUTH_FORGOT,
    AUTH_RESET,
    ForgotPassword,
    ResetPassword,
)
from tests.soak.devices import list_devices, simulated_devices
from tests.soak.hanging_device import HangingDevice
from tests.soak.receiver import WebhookReceiver
from tests.support import songs
from tests.support.system import System, wait_for

STEADY_DEVICES: Final = 4
"""Devices of the system without faults, which send telemetry all the time."""
DEVICES: Final = 4
GROUP: Final = "soak"
EMAIL: Final = "admin@localhost"
PASSWORD: Final = "violet otter plays cello"
FAULTS: Final = """
faults:
  - {devices: "soak-0001", fault: slow, step: stage, for_s: 1, repeat: always}
  - {devices: "soak-0002", fault: mute, step: activate, repeat: always}
  - {devices: "soak-0003", fault: reject, step: activate, code: busy, repeat: always}
  - {devices: "soak-0004", fault: offline, step: start, for_s: 2, repeat: always}
"""
UPLOAD_PAUSE_S: Final = 1.5
EDIT_PAUSE_S: Final = 0.4
SIGN_IN_PAUSE_S: Final = 3.0
DEPLOY_PAUSE_S: Final = 4.0
_RETRY_PAUSE_S: Final = 0.3
_FINAL_STATUSES: Final = frozenset({"succeeded", "failed", "cancelled", "rolled_back"})


@dataclass
class Activities:
    """Runs the people in threads and the devices in processes."""

    system: System
    folder: Path
    seed: int
    receiver: WebhookReceiver
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The receipts of accepted songs, by track."""
    titles: dict[str, str] = field(default_factory=dict)
    """The title of the last accepted edit of each track."""
    deployments: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    """The refresh tokens of all sign-ins."""
    retries: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    faults: list[str] = field(default_factory=list)
    """What a client saw that it must not see."""
    hanging_device: HangingDevice = field(init=False)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.hanging_device = HangingDevice(self.system, self.folder, self.seed)

    @contextmanager
    def running(self) -> Generator[None]:
        """Let everybody work while the block runs."""
        self._set_password()
        self.receiver.register(self.system)
        works = (self._upload, self._edit, self._deploy, self._sign_in)
        threads = [threading.Thread(target=self._guard, args=(work,), daemon=True) for work in works]
        with self._devices(FAULTS), self.hanging_device.running():
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                self._stopped.set()
                for thread in threads:
                    thread.join()

    def finish(self) -> list[str]:
        """Bring the devices back without faults, and wait until jobs and deployments have ended; return what is wrong."""
        found = list(self.faults)
        with self._devices("faults: []"):
            try:
                for upload in self.uploads.values():
                    self.system.wait_for_job(upload["job_id"])
                wait_for(lambda: not self._unfinished(), "every deployment has ended")
                wait_for(lambda: not self._diverged(), "the devices run what the record says")
            except AssertionError as error:
                found.append(f"{error}; {self._unfinished()} {self._diverged()}")
        return found

    def counts(self) -> dict[str, int]:
        """Return what was done."""
        return {
            "uploads": len(self.uploads),
            "edited tracks": len(self.titles),
            "deployments": len(self.deployments),
            "sign-ins": len(self.sessions),
            "retries": self.retries.total(),
            "refused deployments": self.refused.total(),
            "hangs of a device": self.hanging_device.hangs,
            **self.receiver.counts(),
        }

    @property
    def steady_devices(self) -> list[str]:
        """Return the ids of the devices that nothing is done to."""
        return [f"{PREFIX}-{number:04}" for number in range(1, STEADY_DEVICES + 1)]

    # ------------------------------------------------------------------ people

    def _guard(self, work: Callable[[random.Random], None]) -> None:
        try:
            work(random.Random(f"{self.seed} {work.__name__}"))
        except Exception as error:  # noqa: BLE001  the other people go on, and the report says what happened
            self.faults.append(f"{work.__name__} ended: {error!r}")

    def _until_answered(self, what: str, send: Callable[[], httpx.Response]) -> httpx.Response | None:
        """Repeat a request, which must be safe to repeat, until it is answered; None when the time is over."""
        while True:
            with contextlib.suppress(httpx.HTTPError, OSError):
                response = send()
                if response.status_code < 500 and response.status_code != 429:
                    return response
            self.retries[what] += 1
            if self._stopped.is_set():
                return None
            time.sleep(_RETRY_PAUSE_S)

    def _upload(self, _: random.Random) -> None:
        for number in itertools.count(self.seed * 10_000):
            data, key = songs.song(number, seconds=3), {"Idempotency-Key": str(uuid4())}
            response = self._until_answered(
                "upload", lambda data=data, key=key, name=f"{number}.wav": self.system.upload(data, name, key)
            )
            if response is not None:
                self._expect(response, {202})
                self.uploads[response.json()["track_id"]] = response.json()
            if self._stopped.wait(UPLOAD_PAUSE_S):
                return

    def _edit(self, chance: random.Random) -> None:
        for number in itertools.count():
            if self.uploads:
                track, title = chance.choice(list(self.uploads)), f"title {number}"
                response = self._until_answered(
                    "edit", lambda track=track, title=title: self._retitle(track, title)
                )
                if response is None:
                    self.titles.pop(track, None)  # it may have been made or not
                elif response.status_code != 404:  # the catalogue has not received the track yet
                    self._expect(response, {200})
                    self.titles[track] = title
            if self._stopped.wait(EDIT_PAUSE_S):
                return

    def _retitle(self, track: str, title: str) -> httpx.Response:
        url = f"{self.system.url}/api/v1/tracks/{track}"
        return httpx.patch(url, json={"title": title}, timeout=60)

    def _deploy(self, chance: random.Random) -> None:
        while not self._stopped.wait(DEPLOY_PAUSE_S):
            if not self.uploads:
                continue
            devices = chance.sample(
                [f"soak-000{n}" for n in range(1, DEVICES + 1)], chance.randint(1, DEVICES)
            )
            body = {
                "track_id": chance.choice(list(self.uploads)),
                "version": 1,
                "device_ids": devices,
                "strategy": {"observe_seconds": 0.5, "max_failures": chance.randint(0, 1)},
            }
            key = {"Idempotency-Key": str(uuid4())}
            response = self._until_answered("deployment", lambda body=body, key=key: self._order(body, key))
            if response is None:
                return
            if response.status_code == 202:
                self.deployments.append(response.json()["deployment_id"])
            else:
                self._expect(response, {404, 409})
                self.refused[response.json()["code"]] += 1

    def _order(self, body: dict[str, Any], key: dict[str, str]) -> httpx.Response:
        return httpx.post(f"{self.system.url}/api/v1/deployments", json=body, headers=key, timeout=60)

    def _sign_in(self, _: random.Random) -> None:
        body = {"email": EMAIL, "password": PASSWORD}
        while not self._stopped.wait(SIGN_IN_PAUSE_S):
            response = self._until_answered(
                "sign-in", lambda: httpx.post(f"{self.system.url}/api/v1/auth/login", json=body, timeout=60)
            )
            if response is not None:
                self._expect(response, {200})
                self.sessions.append(response.json()["session_id"])

    def _set_password(self) -> None:
        forgotten = ForgotPassword(email=EMAIL)
        link = self.system.link_sent_by(lambda: self.system.ask(AUTH_FORGOT, forgotten), "/reset")
        self.system.ask(AUTH_RESET, ResetPassword(token=link.split("?token=")[1], new_password=PASSWORD))

    def _expect(self, response: httpx.Response, statuses: set[int]) -> None:
        if response.status_code not in statuses:
            self.faults.append(f"{response.request.url.path}: {response.status_code} {response.text[:200]}")

    # ------------------------------------------------------------------ devices

    def _devices(self, faults: str) -> AbstractContextManager[object]:
        return simulated_devices(self.system, self.folder, GROUP, DEVICES, faults)

    def _diverged(self) -> list[str]:
        devices = list_devices(self.system, GROUP)
        return [each["id"] for each in devices if each.get("running") != each.get("expected")]

    def _unfinished(self) -> list[str]:
        found = [self.system.get(f"/deployments/{each}") for each in self.deployments]
        return [f"{each['id']} {each['status']}" for each in found if each["status"] not in _FINAL_STATUSES]
