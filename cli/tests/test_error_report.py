"""Error messages for people, and exit codes for scripts."""

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.tests.command_runner import run_k1
from cli.tests.deployment_samples import DEPLOYMENT, TRACK
from cli.tests.stub_gateway import StubGateway
from k1_analysis.engine import Progress
from k1_cli.api.client import GatewayClient
from k1_cli.api.problems import describe_problem
from k1_cli.error_report import report_error
from k1_cli.errors import CommandError
from k1_cli.output.console import LiteralConsole, progress_bar
from k1_cli.output.files import write_output
from k1_cli.songs import local_analysis, song_upload
from k1_cli.songs.resumable_upload import UploadMemory
from k1_cli.stack.doctor import disk_finding

FULL = Path("/dev/full")


def test_an_unexpected_error_is_a_sentence_and_a_file(
    capfd: pytest.CaptureFixture[str], gateway: StubGateway, home: str
) -> None:
    """The terminal shows no stack trace but the name of its file, and `./k1 doctor` as the next step."""
    gateway.on("GET /tracks", (200, {"items": "[/x]"}))
    done = run_k1(capfd, "tracks", "--home", home)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "./k1 doctor" in done.stderr
    (named,) = [word.strip("`,.;") for word in done.stderr.split() if "k1-error-" in word]
    kept = Path(named)
    assert "Traceback" in kept.read_text()
    kept.unlink()


def test_a_trace_that_cannot_be_kept_is_shown_by_debug(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.mkstemp", _refuse)
    assert report_error(RuntimeError("why"), debug=False) == 1
    assert "--debug shows the details" in capfd.readouterr().err


def _refuse(**_: Any) -> Any:
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_says_what_to_do(capfd: pytest.CaptureFixture[str]) -> None:
    """The advice is the same for an output file and for any other file."""
    with pytest.raises(CommandError) as refused:
        write_output(FULL, b"x")
    for error in (refused.value, OSError(errno.ENOSPC, "No space left on device")):
        assert report_error(error, debug=False) == 1
        message = capfd.readouterr().err
        assert (
            "the disk is full: free some space and try again; `./k1 doctor` tells how much there is"
            in message
        )
        assert "k1-error-" not in message


def test_a_reader_that_has_seen_enough_is_no_error(gateway: StubGateway, home: str) -> None:
    """`./k1 tracks --json | head -0` prints no message."""
    gateway.on("GET /tracks", (200, {"total": 0, "items": ["x" * 1_000_000]}))
    argv = [sys.executable, "-m", "k1_cli", "tracks", "--json", "--home", home]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_the_doctor_looks_at_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check reports the free space in bytes and in files, and what to move where there is too little."""
    assert disk_finding("home", tmp_path).what.startswith(f"free disk for the home ({tmp_path}): ")
    monkeypatch.setattr("k1_cli.stack.doctor.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1024}))
    full = disk_finding("temporary files", tmp_path)
    assert (full.ok, "TMPDIR" in full.remedy) == (False, True)
    crowded = os.statvfs_result((4096, 4096, 9, 9, 9, 100, 5, 5, 0, 255))
    monkeypatch.setattr("k1_cli.stack.doctor.os.statvfs", lambda _: crowded)
    assert "room for 5 files" in disk_finding("home", tmp_path).what


def test_a_stack_that_fails_says_where_to_look(
    capfd: pytest.CaptureFixture[str], gateway: StubGateway, home: str
) -> None:
    """After a server error, and without a gateway, `./k1 status` and `./k1 doctor` are the next steps."""
    gateway.on("GET /tracks", (503, {"code": "dependency_unavailable", "detail": "The database is away."}))
    message = run_k1(capfd, "tracks", "--home", home).stderr
    assert message.startswith(
        f"k1: The database is away. (dependency_unavailable); `./k1 status --home {home}` tells"
    )
    with (
        pytest.raises(CommandError, match=r"does not answer: .*`\./k1 doctor`"),
        GatewayClient("http://127.0.0.1:9") as gone,
    ):
        gone.tracks()


def test_commands_that_a_service_names_can_be_typed(
    capfd: pytest.CaptureFixture[str], gateway: StubGateway, home: str
) -> None:
    """A service does not know the path of the script or the home; the command line adds them."""
    detail = "There is no device x; `k1 devices list` lists them."
    gateway.on("GET /tracks", (404, {"code": "device_not_found", "detail": detail}))
    message = run_k1(capfd, "tracks", "--home", home).stderr
    assert (
        message
        == f"k1: There is no device x; `./k1 devices list --home {home}` lists them. (device_not_found)\n"
    )


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (
            {"code": "invalid_body", "errors": [{"name": "strategy.canary", "message": "too small"}]},
            "--canary: too small",
        ),
        (
            {
                "code": "invalid_body",
                "errors": [
                    {"name": "body.strategy.max_failures.constrained-int", "message": "a count"},
                    {"name": "body.strategy.max_failures.constrained-str", "message": "a share"},
                    {"name": "overrides.0.reason", "message": "too short"},
                ],
            },
            "--max-failures: a count, or a share; --override: too short",
        ),
        (
            {"code": "invalid_parameter", "errors": [{"name": "status", "message": "unknown"}]},
            "--status: unknown",
        ),
        (
            {"code": "invalid_body", "errors": [{"name": "graph.nodes.0.type", "message": "Field required"}]},
            "--graph, nodes.0.type: Field required",
        ),
        ({"code": "invalid_form", "errors": [{"name": "tags", "message": "too many"}]}, "--tag: too many"),
        (
            {"code": "device_not_found", "detail": "There is no device x."},
            "There is no device x. (device_not_found)",
        ),
        (
            {
                "code": "invalid_body",
                "errors": [
                    {"name": "overrides.0.reason", "message": "String should have at least 10 characters"},
                    {"name": "preset", "message": "Input should be 'edm' or 'rock'"},
                ],
            },
            "--override: the text should have at least 10 characters; --preset: it should be 'edm' or 'rock'",
        ),
        ({"title": "Teapot"}, "Teapot (418)"),
    ],
)
def test_errors_name_options(problem: dict[str, Any], sentence: str) -> None:
    """The message names the option `--canary` instead of the field `strategy.canary`."""
    assert describe_problem(problem, 418) == sentence


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The text of the progress bars on a terminal."""
    screen = io.StringIO()
    console = LiteralConsole(file=screen, force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr("k1_cli.output.console.messages", console)
    return screen


def last_percent(screen: io.StringIO) -> str:
    return screen.getvalue().replace("\r", " ").split(" %")[-2].split()[-1]


def test_progress_ends_at_its_end(
    drawn: io.StringIO, gateway: StubGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload, a followed analysis and a local one: the last value shown is 100 %."""
    song = tmp_path / "[x] :smile:.wav"
    song.write_bytes(b"x" * 1000)
    accepted = {"track_id": TRACK, "job_id": "job_1", "status": "queued"}
    gateway.on("POST /tracks/upload", (202, accepted))
    job = {
        "status": "completed",
        "stage": "store",
        "percent": 92.0,
        "track_id": TRACK,
        "job_id": "job_1",
        "version": 1,
    }
    gateway.on("GET /analysis/jobs/job_1", (200, job))
    gateway.on(f"GET /tracks/{TRACK}", (200, {"track": {"id": TRACK, "status": "ready"}}))
    gateway.on(f"GET /tracks/{TRACK}/versions/1/genesis", (200, {}))
    details = song_upload.SongDetails(None, None, (), None, None)
    with GatewayClient(gateway.url) as client:
        with progress_bar() as progress:
            song_upload.upload_song(
                client, details.song(song), UploadMemory(song.with_suffix(".json")), progress
            )
        assert last_percent(drawn) == "100"
        assert "uploading [x] :smile:.wav" in drawn.getvalue()
        drawn.truncate(0)
        song_upload.follow_analysis(client, accepted)
        assert last_percent(drawn) == "100"
    drawn.truncate(0)
    monkeypatch.setattr(
        local_analysis,
        "analyse_file",
        lambda *_, progress, **__: progress(Progress("map", 90.0)),
    )
    local_analysis.analyse(song, None)
    assert last_percent(drawn) == "100"


def test_a_line_of_an_event_ends_at_a_line_feed_alone(gateway: StubGateway) -> None:
    """A reason may contain characters that Python treats as line ends."""
    text = json.dumps({"reason": "a\u2028b\x85c\x0bd"}, ensure_ascii=False)
    gateway.on_stream(f"GET /deployments/{DEPLOYMENT}/events", f"event: change\r\ndata: {text}\n\n".encode())
    with GatewayClient(gateway.url) as client:
        assert list(client.deployment_events(DEPLOYMENT)) == [("change", text)]
