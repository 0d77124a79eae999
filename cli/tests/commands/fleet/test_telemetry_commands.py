"""`k1 telemetry` and `k1 drift`, with a stub of the gateway."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.tests.command_runner import run_k1
from cli.tests.deployment_samples import TRACK
from cli.tests.golden import GOLDEN
from cli.tests.stub_gateway import StubGateway
from k1_cli.telemetry.sparklines import ReadingHistory, sparkline
from k1_contracts.messages.telemetry import LiveSample

SERIES = json.loads((GOLDEN / "TelemetrySeries/v1.json").read_text())
DRIFT = json.loads((GOLDEN / "TrackDrift/v1.json").read_text())
DEVICE = "k1-stage-left"


@given(values=st.lists(st.floats(-1e6, 1e6), max_size=300), width=st.integers(0, 100))
def test_a_sparkline_shows_each_extreme(values: list[float], width: int) -> None:
    """It has a block for each value, or for each part of them; the value farthest from zero is at an end of the scale."""
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    if line and len(set(values)) > 1 and len(values) <= width:
        farthest = max(values, key=abs)
        place = line[values.index(farthest)]
        assert place == ("█" if farthest == max(values) else "▁") or max(values) == -min(values)


def test_the_lines_of_a_device_stay_in_place() -> None:
    """They fit the terminal, the newest value is at the right, noise is no mountain, and a silence is named."""
    sample = LiveSample.model_validate_json((GOLDEN / "LiveSample/v1.json").read_text())
    history = ReadingHistory()
    assert history.title(DEVICE, 60) == f"{DEVICE}: no readings yet"
    for number in range(3):
        history.add(sample.model_copy(update={"drift_ms": float(number), "temp_c": 50 + number / 100}))
    lines = history.lines(80)
    assert max(map(len, lines)) <= 80
    assert {line.index(" to ") for line in lines} == {lines[0].index(" to ")}
    assert lines[2].split()[:3] == ["temperature", "50.0", "°C"]
    assert set(lines[2].split()[3]) <= set("▄▅")
    assert history.title(DEVICE, 4.9) == f"{DEVICE}: plays {sample.track_id}, error: none"
    assert history.title(DEVICE, 6.2).endswith("silent for 6 s")


def test_stored_telemetry_is_printed_and_drawn(
    gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A line for each field, a PNG, or the JSON of the API; the options are those of the API."""
    gateway.on(f"GET /devices/{DEVICE}", (200, {"id": DEVICE}))
    gateway.on(f"GET /telemetry/{DEVICE}", (200, SERIES))
    shown = run_k1(capfd, "telemetry", DEVICE, "--last", "3600", "--step", "5", "--home", home)
    assert re.search(r"drift_ms +-3\.\d +1\.5 +6\.0", shown.stdout)
    assert (
        "50 readings from 2026-11-20 20:00:00 to 20:15:00 UTC; 5 s a point, from 5s"
        in shown.stdout.replace("\n", " ")
    )
    assert gateway.requests[-1].query == {"last": ["3600"], "step": ["5.0"]}
    assert run_k1(capfd, "telemetry", DEVICE, "--json", "--home", home).json == SERIES
    picture = tmp_path / "chart.png"
    assert run_k1(capfd, "telemetry", DEVICE, "--png", str(picture), "--home", home).returncode == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    refused = run_k1(capfd, "telemetry", DEVICE, "--follow", "--last", "5", "--home", home)
    assert (refused.returncode, "leave --last" in refused.stderr.replace("\n", " ")) == (2, True)


def test_readings_are_followed(gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Only the readings of the stream are shown, one line a second, until the gateway refuses the next stream."""
    sample = {"device_id": DEVICE, "drift_ms": 1.5, "cpu_pct": 40.0, "temp_c": 50.0, "fps": 60.0}
    times = ["2026-05-01T12:00:00.100Z", "2026-05-01T12:00:00.900Z", "2026-05-01T12:00:01.000Z"]
    events = [{"type": "device.online", "data": {}}] + [
        {"type": "device.reading", "data": {**sample, "timestamp": time}} for time in times
    ]
    raw = "".join(
        f"id: {number}\ndata: {json.dumps(event)}\n\n" for number, event in enumerate(events)
    ).encode()
    answers = iter(
        [(200, raw), (403, {"title": "Forbidden", "status": 403, "code": "role_required", "detail": "no"})]
    )
    gateway.on(f"GET /devices/{DEVICE}", (200, {"id": DEVICE}))
    gateway.on("GET /events/stream", lambda _: next(answers))
    followed = run_k1(capfd, "telemetry", DEVICE, "--follow", "--home", home)
    lines = [line for line in followed.stdout.splitlines() if line.startswith("12:00:0")]
    assert lines == [
        "12:00:00 drift_ms 1.5, cpu_pct 40.0, temp_c 50.0, fps 60.0",
        "12:00:01 drift_ms 1.5, cpu_pct 40.0, temp_c 50.0, fps 60.0",
    ]
    assert gateway.requests[-1].query == {"topics": [f"device:{DEVICE}"]}
    assert followed.returncode == 1


def test_the_drift_of_a_song_is_printed_and_drawn(
    gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each section has a line, each suggestion its reason; what does not count is named."""
    gateway.on(f"GET /tracks/{TRACK}", (200, {"track": {"id": TRACK, "title": "Night Drive"}}))
    gateway.on(f"GET /tracks/{TRACK}/drift", (200, DRIFT))
    shown = run_k1(capfd, "drift", TRACK, "--version", "2", "--home", home).stdout.replace("\n", " ")
    assert "Night Drive, version 2: 400 readings of 2 devices in 4 plays" in shown
    assert "not counted: 10 of other versions, 3 outside the song, 2 without a position" in shown
    assert re.search(r"intro +0:00\.0 +0:16\.0 +42\.0 ms +\+41\.5 ms +61\.2 ms +95% +2 of 2 +0\.50", shown)
    assert "beat edit 0:02.0 to 0:04.0: 2 of 2 devices are off the beat here." in shown
    assert {"version": ["2"]} in [request.query for request in gateway.requests]
    picture = tmp_path / "drift.png"
    assert run_k1(capfd, "drift", TRACK, "--png", str(picture), "--home", home).returncode == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    nothing = {**DRIFT, "figures": None, "sections": [], "beats": [], "suggestions": []}
    gateway.on(f"GET /tracks/{TRACK}/drift", (200, nothing))
    assert "no device has measured" in run_k1(capfd, "drift", TRACK, "--home", home).stdout
