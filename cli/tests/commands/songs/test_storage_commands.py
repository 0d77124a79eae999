"""`k1 storage` and `k1 links`: what is printed, and that nothing is removed unasked."""

import json
from typing import Any

import pytest

from cli.tests.command_runner import run_k1
from cli.tests.golden import GOLDEN
from cli.tests.stub_gateway import StubGateway


def golden(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / name / "v1.json").read_text())


def test_usage(gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The sizes, the alert and the next command."""
    gateway.on("GET /storage/usage", (200, golden("StorageUsage")))
    done = run_k1(capfd, "storage", "usage", "--home", home)
    assert done.returncode == 0, done.stderr
    assert "900.0 kB of 1.0 MB (90%) in 12 objects" in done.stdout
    assert "90% of the store is used." in done.stderr
    assert "Night Drive" in done.stdout


def test_cleanup_shows_first_and_asks(
    gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dry run comes first; without consent only it is sent."""
    sent: list[bool] = []

    def answer(request: Any) -> tuple[int, Any]:
        sent.append(json.loads(request.body)["dry_run"])
        return 200, golden("StorageCleanup") | {"dry_run": sent[-1]}

    gateway.on("POST /storage/cleanup", answer)
    done = run_k1(capfd, "storage", "cleanup", "--dry-run", "--home", home)
    assert ("artefacts/a/preview.png" in done.stdout, sent) == (True, [True])
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    done = run_k1(capfd, "storage", "cleanup", "--home", home)
    assert (done.returncode, "nothing was removed" in done.stderr, sent) == (1, True, [True, True])
    done = run_k1(capfd, "storage", "cleanup", "--yes", "--home", home)
    assert (done.returncode, sent[2:]) == (0, [True, False])
    assert "removed 1 objects; 1 came into use and stayed" in done.stdout


def test_a_link_is_a_whole_address(
    gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It can be pasted into a browser; an unknown name lists those that there are."""
    made, artefact = golden("NewLink"), golden("ArtefactRestored")["artefact"]
    track = made["link"]["track_id"]
    gateway.on(f"GET /tracks/{track}", (200, {"track": {"id": track, "title": "x", "current_version": 2}}))
    gateway.on(f"GET /tracks/{track}/versions/2/artefacts", (200, {"artefacts": [artefact]}))
    gateway.on(f"POST /tracks/{track}/versions/2/artefacts/{artefact['id']}/copy-link", (201, made))
    done = run_k1(capfd, "links", "make", track, "bundle.k1b", "--home", home)
    assert done.stdout.strip() == f"{gateway.url}{made['path']}"
    other = run_k1(capfd, "links", "make", track, "other", "--home", home)
    assert (other.returncode, "it has bundle.k1b" in other.stderr) == (1, True)
