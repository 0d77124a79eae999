"""Tracks whose song is sent to the object store directly, through the gateway."""

import httpx
import pytest

from services.ingest.tests import songs

URL = "/api/v1/tracks"


async def test_a_song_is_sent_to_a_presigned_url(http: httpx.AsyncClient, unique: str) -> None:
    """201, PUT, 202; the same bytes under another track: 200 and the first one."""
    song = songs.wav(2.0, int(unique[:7], 16))
    made = [
        await http.post(URL, json={"title": "Nächte", "tags": ["a, b"], "preset": "classical"})
        for _ in range(2)
    ]
    accepted: list[httpx.Response] = []
    for response in made:
        assert (response.status_code, response.json()["status"]) == (201, "uploading")
        early = await http.post(f"{URL}/{response.json()['track_id']}/complete")
        assert (early.status_code, early.json()["code"]) == (409, "song_missing")
        async with httpx.AsyncClient() as store:
            assert (await store.put(response.json()["upload_url"], content=song)).status_code == 200
        accepted.append(await http.post(f"{URL}/{response.json()['track_id']}/complete"))
    first = made[0].json()["track_id"]
    assert [(each.status_code, each.json()["track_id"]) for each in accepted] == [(202, first), (200, first)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_parameter"),
        ({"title": " "}, "invalid_parameter"),
        ({"title": "x", "preset": "polka"}, "invalid_parameter"),
        ({"title": "x", "duration_hint": 3600}, "too_long"),
    ],
)
async def test_wrong_details_are_rejected(
    http: httpx.AsyncClient, body: dict[str, object], code: str
) -> None:
    response = await http.post(URL, json=body)
    assert (response.status_code, response.json()["code"]) == (422, code)


async def test_no_song_is_expected_for_an_unknown_track(http: httpx.AsyncClient) -> None:
    response = await http.post(f"{URL}/trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD/complete")
    assert (response.status_code, response.json()["code"]) == (404, "upload_not_found")
