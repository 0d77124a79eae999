"""Stored telemetry and drift over HTTP: the parameters arrive as they were sent, and what does not exist is a 404."""

import httpx
import pytest

from k1_contracts.messages.catalogue.tracks import TRACK_GET, GetTrack
from k1_contracts.messages.deploy.devices import DEVICE_GET, DeviceView, GetDevice
from k1_contracts.messages.drift import TRACK_DRIFT, GetDrift, TrackDrift
from k1_contracts.messages.telemetry_history import (
    DEVICE_TELEMETRY,
    TRACK_TELEMETRY,
    GetDeviceTelemetry,
    GetTrackTelemetry,
    TelemetrySeries,
)
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners

API, TRACK, DEVICE = "/api/v1", samples.TRACK, "k1-stage-left"
SERIES = (samples.GOLDEN / "TelemetrySeries/v1.json").read_text("utf-8")
DRIFT = (samples.GOLDEN / "TrackDrift/v1.json").read_text("utf-8")
WINDOW = {"from": "2026-05-01T12:00:00Z", "to": "2026-05-01T14:00:00+01:00"}


def answer(owners: Owners) -> None:
    owners.respond_with(TRACK_GET.subject, samples.track())
    owners.respond_with(
        DEVICE_GET.subject,
        DeviceView.model_validate_json(next((samples.GOLDEN / "DeviceView").glob("*.json")).read_text()),
    )
    owners.respond_with(DEVICE_TELEMETRY.subject, TelemetrySeries.model_validate_json(SERIES))
    owners.respond_with(TRACK_TELEMETRY.subject, TelemetrySeries.model_validate_json(SERIES))
    owners.respond_with(TRACK_DRIFT.subject, TrackDrift.model_validate_json(DRIFT))


async def test_the_window_and_the_step_reach_telemetry(http: httpx.AsyncClient, owners: Owners) -> None:
    """Times, numbers and lists; the drift is that of the version in use unless another one is named."""
    answer(owners)
    chart = {**WINDOW, "step": "7.5", "fields": "drift_ms,fps", "max_points": "50"}
    response = await http.get(f"{API}/telemetry/{DEVICE}", params=chart)
    assert response.status_code == 200
    assert TelemetrySeries.model_validate_json(response.content) == TelemetrySeries.model_validate_json(
        SERIES
    )
    wanted = {**WINDOW, "step": 7.5, "fields": ["drift_ms", "fps"], "max_points": 50}
    assert owners.received == [
        GetDevice(device_id=DEVICE),
        GetDeviceTelemetry.model_validate({"device_id": DEVICE, **wanted}),
    ]
    owners.received.clear()
    assert (await http.get(f"{API}/tracks/{TRACK}/telemetry?last=60")).status_code == 200
    assert owners.received == [GetTrack(track_id=TRACK), GetTrackTelemetry(track_id=TRACK, last=60)]
    owners.received.clear()
    assert (await http.get(f"{API}/tracks/{TRACK}/drift", params=WINDOW)).status_code == 200
    current = samples.track().track.current_version
    assert owners.received[-1] == GetDrift.model_validate({"track_id": TRACK, "version": current, **WINDOW})
    owners.received.clear()
    assert (await http.get(f"{API}/tracks/{TRACK}/drift?version=7&last=60")).status_code == 200
    assert owners.received == [GetDrift(track_id=TRACK, version=7, last=60)]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("last=60&from=2026-05-01T12:00:00Z", "give either `last`, or `from` and `to`"),
        ("from=yesterday", "from: "),
        ("to=2026-05-01T12:00:00Z", "`to` needs `from`"),
        ("fields=drift_ms,colour", "fields.1"),
        ("step=0", "step: "),
        ("max_points=3000", "max_points: "),
        ("window=5", "window: is no parameter of this call; it has last, from, to"),
    ],
)
async def test_a_wrong_window_is_named(http: httpx.AsyncClient, query: str, message: str) -> None:
    """It is refused before anything is read, and the problem says what to correct."""
    response = await http.get(f"{API}/telemetry/{DEVICE}?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_parameter")
    assert message in response.json()["detail"]


async def test_what_does_not_exist_is_not_asked_for(http: httpx.AsyncClient, owners: Owners) -> None:
    """An unknown device or track, and a track without a map: telemetry is not asked."""
    answer(owners)
    owners.respond_with(DEVICE_GET.subject, QueryError("device_not_found", "There is no device.", 404))
    assert (await http.get(f"{API}/telemetry/{DEVICE}")).json()["code"] == "device_not_found"
    without_map = samples.track()
    track = without_map.track.model_copy(update={"current_version": None})
    owners.respond_with(TRACK_GET.subject, without_map.model_copy(update={"track": track}))
    response = await http.get(f"{API}/tracks/{TRACK}/drift")
    assert (response.status_code, response.json()["code"]) == (404, "genesis_missing")
    owners.respond_with(TRACK_GET.subject, QueryError("track_not_found", "There is no track.", 404))
    for path in ("telemetry", "drift"):
        assert (await http.get(f"{API}/tracks/{TRACK}/{path}")).json()["code"] == "track_not_found"
    assert {type(query) for query in owners.received} == {GetDevice, GetTrack}
