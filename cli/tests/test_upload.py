"""`k1 upload` of one file, of several, of folders: over HTTP, against a gateway that answers as is needed."""

import errno
import json
import os
from pathlib import Path

import pytest

from cli.tests.stub_gateway import Answer, Asked, Done, StubGateway, run_k1
from k1_cli.songs.bulk_upload import UploadOutcome, summarise

TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
ACCEPTED = {"track_id": TRACK, "job_id": "job_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD", "status": "queued"}


class K1:
    def __init__(self, capfd: pytest.CaptureFixture[str], home: Path) -> None:
        self._capfd = capfd
        self._home = home

    def __call__(self, *arguments: str) -> Done:
        return run_k1(self._capfd, *arguments, "--home", str(self._home))


@pytest.fixture
def gateway(gateway: StubGateway) -> StubGateway:
    """One that takes every song."""
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
    return [asked.form for asked in gateway.asked if asked.path == "/tracks/upload"]


def test_a_name_that_is_not_utf8_is_uploaded(k1: K1, gateway: StubGateway) -> None:
    """With the title that the name means; also a title that was typed so."""
    name = os.fsdecode(b"caf\xe9 \x1b[31m.wav")
    Path(name).write_bytes(b"sound")
    assert k1("upload", name).returncode == 0
    assert k1("upload", name, "--title", os.fsdecode(b"na\xefve"), "--artist", "caf\u00e9").returncode == 0
    first, second = uploads(gateway)
    assert first["title"][1].decode() == "café \x1b[31m"
    assert first["file"] == ("café  [31m.wav", b"sound")
    assert second["title"][1].decode() == "naïve"
    assert second["artist"][1].decode() == "café"


def test_several_files_and_folders_have_a_line_each(k1: K1, gateway: StubGateway) -> None:
    """A folder stands for the audio files in it and below; a bad one is named, the others are sent; code 1."""
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

    def answer(asked: Asked) -> Answer:
        bad = asked.form["file"][0] == "bad.wav"
        return (
            (415, {"code": "unsupported_format", "detail": "The file is text."}) if bad else (202, ACCEPTED)
        )

    gateway.on("POST /tracks/upload", answer)
    done = k1("upload", "album", "bad.wav", "absent.wav", "empty", "[x].ogg")
    assert done.returncode == 1
    assert [form["title"][1].decode() for form in uploads(gateway)] == ["b", "a", "bad", "[x]"]
    assert done.stdout.splitlines() == [
        f"{TRACK} queued    b",
        f"{TRACK} queued    a",
        f"{TRACK} queued    [x]",
        "6 songs: 3 queued, 3 failed",
    ]
    assert done.stderr.splitlines() == [
        "bad.wav: The file is text. (unsupported_format)",
        "absent.wav: there is no such file",
        "empty: there is no audio file in this folder",
    ]


def test_a_line_is_one_line_and_names_the_file(k1: K1, gateway: StubGateway) -> None:
    """Whatever the file is called, also when its bytes are a track already; a silent song has no tempo of 0."""
    fake = f"a\n{TRACK} ready     120.0 BPM"
    for name in (f"{fake}.wav", f"{fake}.bad.wav"):
        Path(name).write_bytes(b"a")
    Path("linked.wav").symlink_to("nowhere.wav")

    def answer(asked: Asked) -> Answer:
        bad = ".bad" in (asked.form["file"][0] or "")
        return (
            (400, {"code": "empty_file", "detail": "Empty."})
            if bad
            else (200, {**ACCEPTED, "status": "existing"})
        )

    gateway.on("POST /tracks/upload", answer)
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
    """Songs that are left out without a word are songs that are missed on stage."""
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
    """So that they can be typed as they stand, after success as after failure."""
    Path("a.wav").write_bytes(b"a")
    home = tmp_path / "home"
    assert f"`./k1 tracks {TRACK} --home {home}`" in k1("upload", "a.wav").stdout
    gateway.on("POST /tracks/upload", (502, {"code": "dependency_unavailable", "detail": "Later."}))
    told = k1("upload", "a.wav").stderr
    assert f"`./k1 status --home {home}`" in told
    assert f"`./k1 doctor --home {home}`" in told


def test_several_files_are_one_json_document(k1: K1) -> None:
    Path("a.wav").write_bytes(b"a")
    done = k1("upload", "a.wav", "absent.wav", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["total"], report["failed"]) == (1, 2, 1)
    assert report["items"][0] == {"file": "a.wav", **ACCEPTED}
    assert report["items"][1] == {"file": "absent.wav", "error": "there is no such file"}


def test_a_gateway_that_takes_no_more_is_waited_for(k1: K1, gateway: StubGateway) -> None:
    """A folder of many songs is sent whole, however few may be sent at a time."""
    Path("a.wav").write_bytes(b"a")
    busy = (429, {"code": "too_many_requests", "detail": "Wait."})
    gateway.on("POST /tracks/upload", lambda _: busy if len(uploads(gateway)) <= 2 else (202, ACCEPTED))
    done = k1("upload", "a.wav", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, ACCEPTED)
    assert {form["file"][1] for form in uploads(gateway)} == {b"a"}


def test_the_same_bytes_with_another_title_say_what_stays(k1: K1, gateway: StubGateway) -> None:
    """Under which title they are stored, and that what was given changed nothing; silence where it is the same."""
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
    """With the status that was waited for; without waiting, that they were taken."""
    waited = UploadOutcome(Path("a.wav"), accepted=ACCEPTED, result={"status": "ready"})
    outcomes = [
        UploadOutcome(Path("b.wav"), problem="no audio"),
        waited,
        UploadOutcome(Path("c.wav"), accepted=ACCEPTED),
    ]
    assert summarise(outcomes) == "3 songs: 1 ready, 1 queued, 1 failed"
