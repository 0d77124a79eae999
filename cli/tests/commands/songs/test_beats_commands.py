"""`k1 beats` against a stub of the gateway: what is read, sent and printed."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.tests.command_runner import run_k1
from cli.tests.deployment_samples import TRACK
from cli.tests.stub_gateway import StubGateway

PATH = f"/tracks/{TRACK}/versions/3/beat-override"
CHANGES = {
    "same": 1, "moved_count": 2, "added_count": 0, "removed_count": 4, "moved": [], "added": [], "removed": [],
}  # fmt: skip
VIEW = {
    "track_id": TRACK, "version": 3, "base_version": 1, "latest_version": 3, "etag": "f0", "duration_ms": 9000.0,
    "bpm": 120.0, "time_signature": "4/4", "beats_ms": [0.0, 500.0, 1000.0], "downbeats": [0],
}  # fmt: skip
OVERRIDE = {
    "author": {"kind": "user", "id": "usr_1", "name": "Ada"}, "created_at": "2026-03-01T12:00:00.000Z",
    "note": "by ear", "f_measure": 0.5, "cemgil": 0.4, "changes": CHANGES,
}  # fmt: skip
SAVED = {
    "track_id": TRACK, "version": 4, "removed": False, "status": "ready", "bpm": 60.0, "beat_count": 2,
    "changes": CHANGES, "warnings": [{"code": "graph_failed", "message": "No show."}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def beats(gateway: StubGateway) -> None:
    gateway.on(f"GET /tracks/{TRACK}", (200, {"track": {"id": TRACK, "current_version": 3}}))
    gateway.on(f"GET {PATH}", (200, VIEW))
    gateway.on(f"POST {PATH}", (201, SAVED))


def sent(gateway: StubGateway) -> Any:
    return json.loads(gateway.requests[-1].body)


def test_the_beats_are_shown_with_their_author(
    gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str]
) -> None:
    plain = run_k1(capfd, "beats", "show", TRACK, "--home", home)
    assert "3 beats, 1 downbeat, 120.00 BPM in 4/4\nfound by the analysis" in plain.stdout
    gateway.on(f"GET {PATH}", (200, VIEW | {"override": OVERRIDE}))
    shown = run_k1(capfd, "beats", "show", TRACK, "--home", home).stdout
    assert "set by Ada at 2026-03-01 12:00, from version 1\nnote: by ear" in shown
    assert "1 the same, 2 moved, 0 added, 4 removed" in shown
    assert run_k1(capfd, "beats", "show", TRACK, "--home", home, "--json").json["override"] == OVERRIDE


@pytest.mark.parametrize(
    ("arguments", "operation"),
    [
        (["half"], {"operation": "half", "phase": 0}),
        (["half", "--second"], {"operation": "half", "phase": 1}),
        (["double"], {"operation": "double"}),
        (["shift", "--note", "late"], {"operation": "shift", "shift_ms": -12.5}),
        (["set-downbeat"], {"operation": "set_downbeat", "index": 2}),
        (
            ["set-downbeat", "--beats-per-bar", "3"],
            {"operation": "set_downbeat", "index": 2, "beats_per_bar": 3},
        ),
    ],
)
def test_an_operation_is_previewed_and_saved(
    gateway: StubGateway,
    home: str,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    operation: dict[str, Any],
) -> None:
    """What is saved is what the preview returned."""
    gateway.on(f"POST {PATH}/preview", (200, {"beats_ms": [0.0, 1000.0], "downbeats": [0]}))
    value = {"shift": ["--", "-12.5"], "set-downbeat": ["3"]}.get(arguments[0], [])
    options = ["--home", home, *arguments[1:]]
    done = run_k1(capfd, "beats", arguments[0], *options, TRACK, *value)
    assert done.returncode == 0, done.stderr
    assert json.loads(gateway.requests[-2].body) == operation
    note = {"note": "late"} if "--note" in arguments else {}
    assert sent(gateway) == {"beats_ms": [0.0, 1000.0], "downbeats": [0], **note}
    assert "version 4 is ready: 2 beats, 60.00 BPM" in done.stdout
    assert "No show. (graph_failed)" in done.stdout


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("# by ear\n0.5\t1\n1.0 2\n\n1.5\t1\n", {"beats": [0.5, 1.0, 1.5], "downbeats": [0, 2]}),
        ("0.5\n1\n", {"beats": [0.5, 1.0]}),
        ("[0.5, 1]", {"beats": [0.5, 1]}),
        ('{"beats_ms": [5, 600], "downbeats": [1], "bpm": 9}', {"beats_ms": [5, 600], "downbeats": [1]}),
    ],
)
def test_beats_come_from_a_file(
    *,
    gateway: StubGateway,
    home: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    text: str,
    body: Any,
) -> None:
    path = tmp_path / "song.beats"
    path.write_text(text)
    done = run_k1(capfd, "beats", "edit", TRACK, str(path), "--home", home)
    assert done.returncode == 0, done.stderr
    assert sent(gateway) == body


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"0.5\nbeat\n", "line 2"), (b"{", "is not JSON"), (b"\xff\xfe", "not UTF-8"), (None, "cannot read")],
)
def test_a_file_without_beats_is_refused(
    *,
    gateway: StubGateway,
    home: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: bytes | None,
    message: str,
) -> None:
    path = tmp_path / "song.beats"
    if content is not None:
        path.write_bytes(content)
    done = run_k1(capfd, "beats", "edit", TRACK, str(path), "--home", home)
    assert (done.returncode, message in done.stderr) == (1, True)
    assert gateway.requests == []


def test_undo_and_a_lost_update(gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str]) -> None:
    gateway.on(f"DELETE {PATH}", (200, SAVED | {"removed": True, "warnings": []}))
    done = run_k1(capfd, "beats", "undo", TRACK, "--home", home)
    assert "version 4 has the beats of the analysis again" in done.stdout
    changed = {"code": "override_changed", "detail": "Someone else has set the beats since."}
    gateway.on(f"DELETE {PATH}", (412, changed))
    late = run_k1(capfd, "beats", "undo", TRACK, "--home", home)
    assert (late.returncode, "Someone else" in late.stderr) == (1, True)
