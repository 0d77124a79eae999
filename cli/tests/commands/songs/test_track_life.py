"""`k1 history`, `k1 delete` and `k1 restore`, with a stub of the gateway."""

import json

import pytest

from cli.tests.command_runner import run_k1
from cli.tests.deployment_samples import TRACK
from cli.tests.stub_gateway import StubGateway

TOKEN = "x" * 32
AT = "2026-05-01T12:00:00.000Z"


def test_a_track_is_deleted_and_restored_by_its_title(
    gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A deleted track is found in the list of deleted ones; the output names the way back."""
    page = {"total": 1, "items": [{"id": TRACK, "title": "Night Drive"}]}
    gateway.on("GET /tracks", (200, page))
    deleted = {"track_id": TRACK, "undo_token": TOKEN, "expires_at": AT, "purge_at": AT}
    gateway.on(f"DELETE /tracks/{TRACK}", (200, deleted))
    gateway.on(
        f"POST /tracks/{TRACK}/restore", (200, {"track_id": TRACK, "status": "ready", "restored": True})
    )
    first = run_k1(capfd, "delete", "night drive", "--home", home)
    assert (first.returncode, f"restore {TRACK}" in first.stdout.replace("\n", " ")) == (0, True)
    assert run_k1(capfd, "delete", TRACK, "--json", "--home", home).json == deleted
    second = run_k1(capfd, "restore", "night drive", "--undo-token", TOKEN, "--home", home)
    assert "restored, it is ready" in second.stdout
    lists = [request.query for request in gateway.requests if request.path == "/tracks"]
    assert [query.get("status") for query in lists] == [None, ["deleted"]]
    assert json.loads(gateway.requests[-1].body) == {"undo_token": TOKEN}


def test_the_history_shows_who_changed_what(
    gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each event has a line, and one for each changed field."""
    event = {
        "id": 2,
        "at": AT,
        "recorded_at": AT,
        "actor": {"kind": "user", "id": "usr_1", "name": "Ann"},
        "action": "edited",
        "before": {"track": {"artist": None, "title": "A", "revision": 1}},
        "after": {"track": {"artist": "B", "title": "A" * 100, "revision": 2}},
        "detail": "title, artist",
    }
    created = event | {
        "id": 1,
        "action": "uploaded",
        "before": {"track": None},
        "after": {"track": {"id": TRACK}},
    }
    gateway.on(f"GET /tracks/{TRACK}/history", (200, {"total": 7, "items": [event, created]}))
    shown = run_k1(capfd, "history", TRACK, "--limit", "2", "--home", home).stdout
    assert "edited by Ann: title, artist" in shown
    assert "artist: nothing -> B" in shown
    assert "revision" not in shown
    assert "2 of 7 events" in shown
    assert gateway.requests[-1].query == {"limit": ["2"]}
