"""`k1 upload` of one file, several files and folders over HTTP, with a stub of the gateway."""

import errno
import json
import os
from pathlib import Path

import pytest

from cli.tests.command_runner import CommandResult, run_k1
from cli.tests.deployment_samples import TRACK
from cli.tests.stub_gateway import ReceivedRequest, StubGateway, StubResponse
from k1_cli.songs.bulk_upload import UploadOutcome, summarise
from services.ingest.tests import songs

ACCEPTED = {"track_id": TRACK, "job_id": "job_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD", "status": "queued"}


class K1:
    def __init__(self, capfd: pytest.CaptureFixture[str], home: Path) -> None:
        self._capfd = capfd
        self._home = home

    def __call__(self, *arguments: str) -> CommandResult:
        return run_k1(self._capfd, *arguments, "--home", str(self._home))


@pytest.fixture
def gateway(gateway: StubGateway) -> StubGateway:
    """A stub of the gateway that accepts every song."""
    gateway.on("POST /tracks/upload", (202, ACCEPTED))
    return gateway


@pytest.fixture
def k1(
    capfd: pytest.CaptureFixture[str],
    home: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> K1:
    folder = tmp_path / "songs"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return K1(capfd, Path(home))


def uploads(gateway: StubGateway) -> list[dict[str, tuple[str | None, bytes]]]:
    return [request.form for request in gateway.requests if request.path == "/tracks/upload"]


def test_a_name_that_is_not_utf8_is_uploaded(k1: K1, gateway: StubGateway) -> None:
    """The name is decoded; a given title is decoded too. Without one, the file's own tags count."""
    name = os.fsdecode(b"caf\xe9 \x1b[31m.wav")
    Path(name).write_bytes(b"sound")
    assert k1("upload", name).returncode == 0
    assert k1("upload", name, "--title", os.fsdecode(b"na\xefve"), "--artist", "caf\u00e9").returncode == 0
    first, second = uploads(gateway)
    assert "title" not in first
    assert first["file"] == ("café  [31m.wav", b"sound")
    assert second["title"][1].decode() == "naïve"
    assert second["artist"][1].decode() == "café"


def test_several_files_and_folders_have_a_line_each(k1: K1, gateway: StubGateway) -> None:
    """A folder stands for its audio files, whatever their names; a bad one is named, the others are sent, and the exit code is 1."""
    (Path("album") / "live").mkdir(parents=True)
    for name in (
        "album/b.MP3",
        "album/live/a.flac",
        "album/cover.jpg",
        "album/.hidden.wav",
        "bad.wav",
        "[x].ogg",
    ):
        Path(name).write_bytes(name.encode())
    Path("empty").mkdir()
    (Path("album") / "track 3").write_bytes(songs.wav(1.0))

    def respond(request: ReceivedRequest) -> StubResponse:
        bad = request.form["file"][0] == "bad.wav"
        return (
            (415, {"code": "unsupported_format", "detail": "The file is text."}) if bad else (202, ACCEPTED)
        )

    gateway.on("POST /tracks/upload", respond)
    done = k1("upload", "album", "bad.wav", "absent.wav", "empty", "[x].ogg")
    assert done.returncode == 1
    assert sorted(form["file"][0] or "" for form in uploads(gateway)) == [
        "[x].ogg",
        "a.flac",
        "b.MP3",
        "bad.wav",
        "track 3",
    ]
    assert done.stdout.splitlines() == [
        f"{TRACK} queued    b",
        f"{TRACK} queued    a",
        f"{TRACK} queued    track 3",
        f"{TRACK} queued    [x]",
        "7 songs: 4 queued, 3 failed",
    ]
    assert done.stderr.splitlines() == [
        "album/cover.jpg: skipped, this is no audio",
        "bad.wav: The file is text. (unsupported_format)",
        "absent.wav: there is no such file",
        "empty: there is no audio file in this folder",
    ]


def test_a_line_is_one_line_and_names_the_file(k1: K1, gateway: StubGateway) -> None:
    """Whatever the name of the file, also for a stored track; a silent song has no tempo of 0."""
    fake = f"a\n{TRACK} ready     120.0 BPM"
    for name in (f"{fake}.wav", f"{fake}.bad.wav"):
        Path(name).write_bytes(b"a")
    Path("linked.wav").symlink_to("nowhere.wav")

    def respond(request: ReceivedRequest) -> StubResponse:
        bad = ".bad" in (request.form["file"][0] or "")
        return (
            (400, {"code": "empty_file", "detail": "Empty."})
            if bad
            else (200, {**ACCEPTED, "status": "existing"})
        )

    gateway.on("POST /tracks/upload", respond)
    gateway.on(f"GET /tracks/{TRACK}", (200, {"track": {"id": TRACK, "title": "Night", "status": "warning"}}))
    gateway.on(
        f"GET /analysis/jobs/{ACCEPTED['job_id']}", (200, {**ACCEPTED, "status": "completed", "version": 1})
    )
    silent = {"global_metrics": {"bpm": 0.0}, "layers": {"rhythm": {"beat_grid_ms": []}}}
    gateway.on(f"GET /tracks/{TRACK}/versions/1/genesis", (200, silent))
    done = k1("upload", ".", "--wait")
    shown = fake.replace("\n", "\\n")
    assert done.stdout.splitlines() == [
        f'{TRACK} existing  {shown}: these bytes are a track already, stored as "Night"',
        f"{TRACK} warning   no tempo  Night",
        "3 songs: 1 warning, 2 failed",
    ]
    assert done.stderr.splitlines() == [
        f"{shown}.bad.wav: Empty. (empty_file)",
        "linked.wav: there is no such file",
    ]


def test_a_folder_that_cannot_be_read_is_named(k1: K1, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command must not leave out songs silently."""
    (Path("album") / "closed").mkdir(parents=True)
    (Path("album") / "a.wav").write_bytes(b"a")
    real = os.scandir

    def refuse(path: str | Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    done = k1("upload", "album")
    assert (done.returncode, done.stderr) == (
        1,
        "album/closed: this folder cannot be read: Permission denied\n",
    )


def test_hints_name_the_home_of_the_command(k1: K1, gateway: StubGateway, tmp_path: Path) -> None:
    """The commands can be typed as printed, after a success and after a failure."""
    Path("a.wav").write_bytes(b"a")
    home = tmp_path / "home"
    assert f"`./k1 tracks {TRACK} --home {home}`" in k1("upload", "a.wav").stdout
    gateway.on("POST /tracks/upload", (502, {"code": "dependency_unavailable", "detail": "Later."}))
    message = k1("upload", "a.wav").stderr
    assert f"`./k1 status --home {home}`" in message
    assert f"`./k1 doctor --home {home}`" in message


def test_several_files_are_one_json_document(k1: K1) -> None:
    Path("a.wav").write_bytes(b"a")
    done = k1("upload", "a.wav", "absent.wav", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["total"], report["failed"]) == (1, 2, 1)
    assert report["items"][0] == {"file": "a.wav", **ACCEPTED}
    assert report["items"][1] == {"file": "absent.wav", "error": "there is no such file"}


def test_a_gateway_that_takes_no_more_is_waited_for(k1: K1, gateway: StubGateway) -> None:
    """All songs of a folder are sent, even if the gateway accepts few at a time."""
    Path("a.wav").write_bytes(b"a")
    busy = (429, {"code": "too_many_requests", "detail": "Wait."})
    gateway.on("POST /tracks/upload", lambda _: busy if len(uploads(gateway)) <= 2 else (202, ACCEPTED))
    done = k1("upload", "a.wav", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, ACCEPTED)
    assert {form["file"][1] for form in uploads(gateway)} == {b"a"}


def test_the_same_bytes_with_another_title_say_what_stays(k1: K1, gateway: StubGateway) -> None:
    """The note has the stored title and says that the given one changed nothing; there is no note for the same title."""
    Path("a.wav").write_bytes(b"a")
    gateway.on("POST /tracks/upload", (200, {**ACCEPTED, "status": "existing"}))
    gateway.on(
        f"GET /tracks/{TRACK}", (200, {"track": {"id": TRACK, "title": "Night [x]", "tags": ["live"]}})
    )
    stored = 'these bytes are a track already, stored as "Night [x]"'
    other = k1("upload", "a.wav", "--title", "Day", "--tag", "studio")
    assert other.returncode == 0
    assert f"{stored}; the title and tags that you gave changed nothing" in other.stdout
    same = k1("upload", "a.wav", "--title", "Night [x]", "--tag", "live")
    assert same.stdout == f"{TRACK}: existing; {stored}\n"


def test_a_title_is_for_one_file(k1: K1) -> None:
    for name in ("a.wav", "b.wav"):
        Path(name).write_bytes(b"a")
    assert k1("upload", "a.wav", "b.wav", "--title", "T").returncode == 2


def test_the_sum_names_what_became_of_the_songs() -> None:
    """It has the final statuses after `--wait`, else those of the upload."""
    waited = UploadOutcome(Path("a.wav"), accepted=ACCEPTED, result={"status": "ready"})
    outcomes = [
        UploadOutcome(Path("b.wav"), problem="no audio"),
        waited,
        UploadOutcome(Path("c.wav"), accepted=ACCEPTED),
    ]
    assert summarise(outcomes) == "3 songs: 1 ready, 1 queued, 1 failed"
