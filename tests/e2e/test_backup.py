"""Backs up a running system under load, destroys it, and restores it into another home on other ports."""

import asyncio
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats.errors
import pytest

from k1_contracts import streams
from k1_contracts.messages.accounts.authentication import (
    AUTH_FORGOT,
    AUTH_LOGIN,
    AUTH_REFRESH,
    AUTH_RESET,
    ForgotPassword,
    Login,
    Refresh,
    ResetPassword,
)
from k1_contracts.messages.accounts.users import KEY_VERIFY, VerifyKey
from k1_contracts.messages.deploy.devices import DEVICE_ADD, DEVICE_REVOKE, AddDevices, RevokeDevices
from k1_platform.settings import NatsSettings
from tests.support import songs
from tests.support.bus import connected_client, read_stream
from tests.support.system import System, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.long]
PASSWORD = "violet otter plays cello"


@dataclass
class Uploads:
    """A client that sends one song after the other until it is stopped."""

    system: System
    accepted: list[tuple[int, str]] = field(default_factory=list)
    """The seed and the track of each accepted song."""
    refused: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    """The seeds that were accepted after one was refused."""
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        seed = 1000
        while not self.stopped.is_set():
            response = self.system.upload(songs.song(seed, seconds=3), f"{seed}.wav")
            if response.status_code == 503:
                assert response.json()["code"] == "maintenance"
                assert int(response.headers["Retry-After"]) > 0
                self.refused.append(seed)
            else:
                assert response.status_code == 202, response.text
                self.accepted.append((seed, response.json()["track_id"]))
                self.after += [seed] if self.refused else []
            seed += 1
            self.stopped.wait(0.3)


def answers(system: System, track: str, deployment: str) -> dict[str, Any]:
    """Return what the system says of what was made before the backup."""
    paths = {
        "track": f"/tracks/{track}",
        "first map": f"/tracks/{track}/versions/1/genesis",
        "second map": f"/tracks/{track}/versions/2/genesis",
        "beats": f"/tracks/{track}/versions/2/beat-override",
        "history": f"/tracks/{track}/history",
        "deployment": f"/deployments/{deployment}",
        "keys": "/keys",
    }
    found = {name: system.get(path) for name, path in paths.items()}
    found["audio"] = system.request("GET", f"/tracks/{track}/audio").content
    return found


def events(system: System, last: int) -> list[tuple[int, str, bytes]]:
    """Return the events up to a number of the stream."""

    async def read() -> list[tuple[int, str, bytes]]:
        async with connected_client(system.stack.bus) as client:
            return [
                (each.metadata.sequence.stream, each.subject, each.data)
                for each in await read_stream(client, streams.EVENTS, ">")
            ]

    return [event for event in asyncio.run(read()) if event[0] <= last]


def connects(system: System, credentials: Path) -> bool:
    """Return whether the broker lets a device in."""

    async def attempt() -> bool:
        bus = NatsSettings(url=system.stack.bus.url, creds=credentials)
        try:
            async with connected_client(bus, allow_reconnect=False, max_reconnect_attempts=0):
                return True
        except nats.errors.Error:
            return False

    return asyncio.run(attempt())


def deploy(system: System, track: str) -> str:
    """Deploy the second version to the simulated devices; repeat it where they were too slow."""

    def done() -> str | None:
        run = system.cli(
            "deploy", track, "--group", "demo", "--observe", "0", "--watch", "--json", check=False
        )
        return None if run.returncode else str(json.loads(run.stdout)["id"])

    return wait_for(done, "the show is on the devices")


@pytest.fixture
def old(tmp_path: Path) -> Iterator[System]:
    """Run a system with two simulated devices."""
    system = System(tmp_path / "old")
    system.cli("up", "--detach", "--sim-devices", "2")
    try:
        yield system
    finally:
        if system.home.exists():
            system.cli("down", check=False)


def test_a_destroyed_system_is_restored_on_another_home(old: System, tmp_path: Path) -> None:
    """Tracks, maps, beats, deployments, users, devices and events are the same; what was accepted is there, what was
    refused is nowhere and can be sent again."""
    accepted = old.upload_with_retry(songs.song(980, seconds=8)).json()
    track = accepted["track_id"]
    old.wait_for_job(accepted["job_id"])
    beats = old.get(f"/tracks/{track}/versions/1/beat-override")["beats_ms"]
    moved = {"beats_ms": [beat + 20 for beat in beats[1:-1]]}
    assert old.request("POST", f"/tracks/{track}/versions/1/beat-override", json=moved).status_code == 201
    deployment = deploy(old, track)
    forgotten = ForgotPassword(email="admin@localhost")
    link = old.link_sent_by(lambda: old.ask(AUTH_FORGOT, forgotten), "/reset")
    old.ask(AUTH_RESET, ResetPassword(token=link.split("?token=")[1], new_password=PASSWORD))
    session = old.ask(AUTH_LOGIN, Login(email="admin@localhost", password=PASSWORD))
    credentials = {}
    for name in ("kept", "revoked"):
        (added,) = old.ask(DEVICE_ADD, AddDevices(device_ids=[name], transport="nats")).credentials
        credentials[name] = tmp_path / f"{name}.creds"
        credentials[name].write_text(added.secret)
    old.ask(DEVICE_REVOKE, RevokeDevices(device_ids=["revoked"]))
    assert (connects(old, credentials["kept"]), connects(old, credentials["revoked"])) == (True, False)

    uploads, backup = Uploads(old), tmp_path / "backup"
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(uploads.run)
        wait_for(lambda: len(uploads.accepted) >= 2, "songs are sent")
        try:
            made = old.cli("backup", str(backup))
            wait_for(lambda: uploads.after or sending.done(), "songs are accepted again")
        finally:
            uploads.stopped.set()
        sending.result()
    assert uploads.refused, made.stdout
    before_freeze = [(seed, found) for seed, found in uploads.accepted if seed not in uploads.after]
    for _, found in uploads.accepted:
        wait_for(
            lambda found=found: old.track(found)["track"]["status"] in {"ready", "warning"}, "it is analysed"
        )
    expected = answers(old, track, deployment)
    last = json.loads((backup / "nats" / "EVENTS.json").read_text())["state"]["last_seq"]
    recorded = events(old, last)
    key = old.stack.home.api_key_file.read_text().strip()
    ports = {old.stack.servers[0].port, old.stack.services[-1].port}
    bundles = expected_bundles(old)
    old.cli("down")
    shutil.rmtree(old.home)

    new = System(tmp_path / "new")
    with ExitStack() as taken:
        for port in ports:
            place = taken.enter_context(socket.socket())
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            place.bind(("127.0.0.1", port or 0))
            place.listen()
        new.cli("restore", str(backup))
        new.cli("up", "--detach", "--sim-devices", "2")
    try:
        assert ports.isdisjoint({new.stack.servers[0].port, new.stack.services[-1].port})
        assert answers(new, track, deployment) == expected
        assert events(new, last) == recorded
        assert new.ask(KEY_VERIFY, VerifyKey(key=key)).actor.role == "admin"
        new.ask(AUTH_LOGIN, Login(email="admin@localhost", password=PASSWORD))
        new.ask(AUTH_REFRESH, Refresh(refresh_token=session.refresh_token))
        assert (connects(new, credentials["kept"]), connects(new, credentials["revoked"])) == (True, False)
        for _, found in before_freeze:
            wait_for(
                lambda found=found: new.track(found)["track"]["status"] in {"ready", "warning"}, "it is ready"
            )
        assert {item["id"] for item in new.get("/tracks?limit=100")["items"]} == {
            track,
            *(found for _, found in before_freeze),
        }
        assert new.upload(songs.song(uploads.refused[0], seconds=3)).status_code == 202
        assert (
            new.upload(songs.song(before_freeze[0][0], seconds=3)).json()["track_id"] == before_freeze[0][1]
        )
        assert expected_bundles(new) == bundles
        wait_for(lambda: runs_expected(new), "the devices were brought back to their desired state")
        wait_for(new.is_quiescent, "every message is handled")
        assert new.dead_letters() == []
    finally:
        new.cli("down")


def expected_bundles(system: System) -> dict[str, Any]:
    """Return the desired state of each device."""
    return {each["id"]: each.get("expected") for each in system.get("/devices")["items"]}


def runs_expected(system: System) -> bool:
    """Return whether the simulated devices, whose memories are not in a backup, run what they should."""
    items = [each for each in system.get("/devices")["items"] if each["id"].startswith("demo-")]
    return all(each["online"] and each.get("running") == each["expected"] for each in items)
