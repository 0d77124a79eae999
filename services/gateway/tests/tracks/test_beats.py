"""Beats of people through the gateway: bodies, tags, faults, and what is refused before any service is asked."""

import json
from typing import Any

import httpx
import pytest

from k1_contracts.graph import Violation
from k1_contracts.messages.catalogue.beats import (
    BEAT_OVERRIDE_GET,
    BEAT_OVERRIDE_REMOVE,
    BEAT_OVERRIDE_SAVE,
    BEATS_PREVIEW,
    BeatOverrideSaved,
    BeatOverrideView,
    BeatsPreviewed,
    GetBeatOverride,
    RemoveBeatOverride,
    SaveBeatOverride,
)
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.schemas import assert_matches

URL = f"/api/v1/tracks/{samples.TRACK}/versions/1/beat-override"
SAVED = BeatOverrideSaved.model_validate_json((samples.GOLDEN / "BeatOverrideSaved/v1.json").read_text())
VIEW = BeatOverrideView.model_validate_json((samples.GOLDEN / "BeatOverrideView/v1.json").read_text())
PREVIEWED = BeatsPreviewed.model_validate_json((samples.GOLDEN / "BeatsPreviewed/v1.json").read_text())


async def test_the_beats_of_a_version_have_the_tag_of_an_edit(
    http: httpx.AsyncClient, owners: Owners
) -> None:
    owners.respond_with(BEAT_OVERRIDE_GET.subject, VIEW)
    response = await http.get(URL)
    assert (response.status_code, response.headers["ETag"]) == (200, f'"{VIEW.etag}"')
    assert_matches(response.json(), "BeatOverrideView")
    for held in (response.headers["ETag"], "*"):
        again = await http.get(URL, headers={"If-None-Match": held})
        assert (again.status_code, again.content) == (304, b"")
    assert owners.received[0] == GetBeatOverride(track_id=samples.TRACK, version=1)


async def test_an_override_is_sent_to_its_owner(http: httpx.AsyncClient, owners: Owners) -> None:
    """With tag and key; whole numbers count as indices and as times."""
    owners.respond_with(BEAT_OVERRIDE_SAVE.subject, SAVED)
    headers = {"If-Match": '"f0"', "Idempotency-Key": "k"}
    body = b'{"beats": [0, 0.5, 1.0], "downbeats": [0.0, 2], "note": " late "}'
    sent = {**headers, "Content-Type": "application/json"}
    response = await http.post(URL, content=body, headers=sent)
    assert (response.status_code, response.headers["ETag"]) == (201, f'"{SAVED.etag}"')
    assert_matches(response.json(), "BeatOverrideSaved")
    expected = {"beats": [0.0, 0.5, 1.0], "downbeats": [0, 2], "note": "late"}
    of = {"track_id": samples.TRACK, "version": 1, "if_match": ["f0"], "idempotency_key": "k"}
    assert owners.received == [SaveBeatOverride.model_validate(of | expected)]
    owners.respond_with(BEAT_OVERRIDE_REMOVE.subject, SAVED.model_copy(update={"removed": True}))
    removed = await http.delete(URL, headers=headers)
    assert (removed.status_code, removed.headers["ETag"]) == (200, f'"{SAVED.etag}"')
    assert owners.received[1] == RemoveBeatOverride.model_validate(of)


async def test_faults_and_lost_updates_are_problems(http: httpx.AsyncClient, owners: Owners) -> None:
    fault = Violation(rule="beats_rising", severity="error", message="Beat 1 is not later.", fix="Sort them.")
    error = QueryError("beats_invalid", "The beats cannot be used.", 422, violations=[fault])
    owners.respond_with(BEAT_OVERRIDE_SAVE.subject, error)
    response = await http.post(URL, json={"beats_ms": [1, 1]})
    assert (response.status_code, response.json()["code"]) == (422, "beats_invalid")
    assert response.json()["violations"] == [fault.model_dump(exclude_none=True)]
    owners.respond_with(BEAT_OVERRIDE_SAVE.subject, QueryError("override_changed", "Read again.", 412))
    late = await http.post(URL, json={"beats_ms": [1, 100]}, headers={"If-Match": '"old"'})
    assert (late.status_code, late.json()["code"]) == (412, "override_changed")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, (422, "invalid_parameter")),
        ({"beats": [0, 1], "beats_ms": [0, 1000]}, (422, "invalid_parameter")),
        ({"beats_ms": "0 500"}, (422, "invalid_parameter")),
        ({"beats_ms": [0, None]}, (422, "invalid_parameter")),
        ({"beats_ms": [0, True]}, (422, "invalid_parameter")),
        ({"beats_ms": [0, "500"]}, (422, "invalid_parameter")),
        ({"beats_ms": [0, 1e300]}, (422, "invalid_parameter")),
        ({"beats_ms": [0] * 50_001}, (422, "invalid_parameter")),
        ({"beats_ms": [0, 500], "downbeats": [0.5]}, (422, "invalid_parameter")),
        ({"beats_ms": [0, 500], "downbeats": [-1]}, (422, "invalid_parameter")),
        ({"beats_ms": [0, 500], "note": "n" * 2001}, (422, "invalid_parameter")),
        ({"beats_ms": [0, 500], "note": "a\0b"}, (422, "invalid_parameter")),
        ({"beats_ms": [0, 500], "version": 7}, (422, "invalid_body")),
        ([0, 500], (422, "invalid_body")),
        ({"beats_ms": ["x" * 1_100_000]}, (413, "body_too_large")),
    ],
)
async def test_a_body_that_is_no_override_is_refused(
    http: httpx.AsyncClient, owners: Owners, body: Any, refusal: tuple[int, str]
) -> None:
    """No query is sent."""
    response = await http.post(URL, json=body)
    assert (response.status_code, response.json()["code"]) == refusal
    assert owners.received == []


@pytest.mark.parametrize("number", ["Infinity", "1e999"])
async def test_numbers_that_are_not_finite_are_refused(
    http: httpx.AsyncClient, owners: Owners, number: str
) -> None:
    content = f'{{"beats_ms": [0, {number}]}}'.encode()
    response = await http.post(URL, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code in {400, 422}
    assert owners.received == []


async def test_fifty_thousand_beats_reach_the_owner(http: httpx.AsyncClient, owners: Owners) -> None:
    owners.respond_with(BEAT_OVERRIDE_SAVE.subject, SAVED)
    beats = [round(60.1 * number, 1) for number in range(50_000)]
    response = await http.post(URL, json={"beats_ms": beats, "downbeats": list(range(0, 50_000, 4))})
    assert response.status_code == 201
    assert owners.received[0].beats_ms == beats


async def test_a_preview_names_the_parameters_of_its_operation(
    http: httpx.AsyncClient, owners: Owners
) -> None:
    owners.respond_with(BEATS_PREVIEW.subject, PREVIEWED)
    anchors = [{"index": 0, "time_ms": 10}, {"index": 4, "time_ms": 2010.5}]
    response = await http.post(f"{URL}/preview", json={"operation": "regrid", "anchors": anchors})
    assert response.status_code == 200
    assert_matches(response.json(), "BeatsPreviewed")
    assert [anchor.time_ms for anchor in owners.received[0].anchors] == [10.0, 2010.5]
    wrong = await http.post(f"{URL}/preview", json={"operation": "shift", "anchors": anchors})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_parameter")
    assert "shift needs shift_ms" in json.dumps(wrong.json())
    assert len(owners.received) == 1
