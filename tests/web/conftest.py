"""One system for all tests in the browser: songs that are ready, people with roles, simulated devices.

The tests need Chromium: that of the path in `K1_CHROMIUM`, or one on the PATH. Where there is none they are skipped.
"""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support import songs
from tests.support.system import System, wait_for
from tests.web.browsers import Visitor

DEVICES: Final = ["demo-0001", "demo-0002", "demo-0003"]
PASSWORD: Final = "violet otter plays cello"
TITLES: Final = ("Blue hour", "Copper rain", "Night drive", "Paper moon")
ROLES: Final = ("viewer", "operator", "admin")
QUOTA_BYTES: Final = 3_000_000
"""So little that the songs of the stage fill the store: the page warns, and nothing is refused."""
FLAGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"),
)
"""Tests may run as root, in a container and without a network."""


def find_chromium() -> str | None:
    """Return the path of the Chromium that the tests use."""
    named = os.environ.get("K1_CHROMIUM")
    return named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@dataclass
class Stage:
    """The running system and what the tests share."""

    system: System
    key: str
    tracks: dict[str, str] = field(default_factory=dict)
    """The track ids by title."""
    emails: dict[str, str] = field(default_factory=dict)
    """The e-mail addresses by role; all have the same password."""
    states: dict[str, Any] = field(default_factory=dict)
    """What a signed-in browser holds, by role: cookies and local storage."""

    @property
    def url(self) -> str:
        return self.system.url

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Return the body of an answer of the API, as administrator."""
        headers = {"Authorization": f"Bearer {self.key}", **arguments.pop("headers", {})}
        response = httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=60, **arguments)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    def add_song(self, title: str, audio: bytes) -> str:
        """Upload a WAV and wait until it is ready; return its track id."""
        accepted = self.call(
            "POST", "/tracks/upload", files={"file": (f"{title}.wav", audio)}, data={"title": title}
        )
        track_id = accepted["track_id"]
        wait_for(lambda: self._is_ready(track_id), f"{title} is ready")
        return track_id

    def _is_ready(self, track_id: str) -> bool:
        response = httpx.get(
            f"{self.url}/api/v1/tracks/{track_id}",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
        )
        return response.is_success and response.json()["track"]["status"] in {"ready", "warning"}

    def add_people(self) -> None:
        """Invite a person of each role and accept the invitations, whose links are in the mailbox."""
        self.emails = {role: f"{role}@example.org" for role in ROLES}
        for role, email in self.emails.items():
            person = {"email": email, "name": f"{role.title()} Example", "role": role}
            self.call("POST", "/users", json=person)

        def links() -> list[str] | None:
            listed = json.loads(self.system.cli("mail", "list", "--json").stdout)["items"]
            found = [each["link"] for each in listed if each["to"] in self.emails.values()]
            return found if len(found) == len(ROLES) else None

        for link in wait_for(links, "the invitations arrive"):
            body = {"token": link.split("?token=")[1], "new_password": PASSWORD}
            self.call("POST", "/auth/reset", json=body)


@pytest.fixture(scope="package")
def chromium() -> str:
    """Return the path of Chromium, or skip the test."""
    path = find_chromium()
    if path is None:
        pytest.skip(
            "no Chromium here: install it (Debian: apt-get install chromium), or name one in K1_CHROMIUM"
        )
    return path


@pytest.fixture(scope="package")
def stage(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Start a system with sign-in, devices, songs and people."""
    settings = {"K1_CATALOGUE_STORAGE_QUOTA_BYTES": str(QUOTA_BYTES)}
    system = System(tmp_path_factory.mktemp("web"), sign_in=True, settings=settings)
    system.cli("up", "--detach", "--sim-devices", str(len(DEVICES)))
    try:
        stage = Stage(system, system.stack.home.api_key_file.read_text().strip())
        with ThreadPoolExecutor(len(TITLES)) as pool:
            added = {
                title: pool.submit(stage.add_song, title, songs.song(700 + n))
                for n, title in enumerate(TITLES)
            }
            stage.add_people()
        stage.tracks = {title: result.result() for title, result in added.items()}
        yield stage
    finally:
        system.cli("down")
    system.assert_within_permissions()


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """Start the browser for this folder: Playwright keeps an event loop running, which async tests cannot bear."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, stage: Stage, tmp_path: Path) -> Iterator[Any]:
    """Return a function that opens a browser window of its own for a person; no window may report an error."""
    visitors: list[Visitor] = []

    def open_window(role: str | None = None, **options: Any) -> Visitor:
        if role is not None and role not in stage.states:
            with Visitor(browser, stage.url) as first:
                first.sign_in(stage.emails[role], PASSWORD)
                stage.states[role] = first.context.storage_state()
        visitor = Visitor(browser, stage.url, storage_state=stage.states.get(role or ""), **options)
        visitors.append(visitor)
        return visitor

    yield open_window
    for number, visitor in enumerate(visitors):
        visitor.close(tmp_path / f"window-{number}.png")
