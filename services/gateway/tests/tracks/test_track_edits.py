"""Edits, deletions, batches, history and comparison through the gateway."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from k1_contracts.messages.catalogue.track_edits import (
    TRACK_BATCH,
    TRACK_DELETE,
    TRACK_EDIT,
    TRACK_RESTORE,
    BatchResult,
    BatchTracks,
    DeleteTrack,
    EditTrack,
    RestoreTrack,
    TrackDeleted,
    TrackRestored,
    TrackResult,
)
from k1_contracts.messages.catalogue.track_history import (
    TRACK_HISTORY,
    VERSION_COMPARE,
    CompareVersions,
    GetHistory,
    TrackHistory,
    VersionComparison,
)
from k1_contracts.messages.catalogue.tracks import TRACK_GET, TRACK_LIST, GetTrack, ListTracks
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.ingest.tests import songs

TRACK = samples.TRACK
URL = f"/api/v1/tracks/{TRACK}"
TOKEN = "x" * 32


async def test_the_tag_of_a_read_track_guards_an_edit(http: httpx.AsyncClient, owners: Owners) -> None:
    """The tag is strong and changes with the content; the revision in it reaches the catalogue."""
    owners.respond_with(TRACK_GET.subject, samples.track())
    tag = (await http.get(URL)).headers["ETag"]
    assert tag.startswith('"1-')
    assert (await http.get(URL, headers={"If-None-Match": tag})).status_code == 304
    owners.respond_with(TRACK_GET.subject, samples.track().model_copy(update={"same_recording_as": [TRACK]}))
    assert (await http.get(URL, headers={"If-None-Match": tag})).headers["ETag"] != tag
    owners.respond_with(TRACK_EDIT.subject, samples.track().model_copy(update={"revision": 2}))
    edited = await http.patch(URL, json={"title": "T"}, headers={"If-Match": f'{tag}, W/"weak"'})
    assert (edited.status_code, edited.headers["ETag"][:3]) == (200, '"2-')
    assert owners.received[-1] == EditTrack(track_id=TRACK, title="T", if_match=[tag.strip('"')])
    owners.respond_with(TRACK_EDIT.subject, QueryError("track_changed", "It has changed.", 412))
    refused = await http.patch(URL, json={"title": "T"}, headers={"If-Match": tag})
    assert (refused.status_code, refused.json()["code"]) == (412, "track_changed")


async def test_null_clears_and_absent_fields_stay(http: httpx.AsyncClient, owners: Owners) -> None:
    """Only what can be empty can be null."""
    owners.respond_with(TRACK_EDIT.subject, samples.track())
    body = {"artist": None, "notes": None, "preset": None, "current_version": None, "tags": [], "title": "Ü"}
    assert (await http.patch(URL, json=body)).status_code == 200
    sent = owners.received[-1]
    assert set(sent.clear) == {"artist", "notes", "preset", "current_version"}
    assert (sent.title, sent.tags, sent.artist, sent.if_match) == ("Ü", [], None, None)
    for wrong in ({"title": None}, {"tags": None}, {"title": "  "}, {"colour": "red"}, {"preset": "polka"}):
        refused = await http.patch(URL, json=wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_body")


async def test_delete_and_restore(http: httpx.AsyncClient, owners: Owners) -> None:
    """The token of the deletion is passed on."""
    now = datetime(2026, 5, 1, tzinfo=UTC)
    deleted = TrackDeleted(track_id=TRACK, undo_token=TOKEN, expires_at=now, purge_at=now)
    owners.respond_with(TRACK_DELETE.subject, deleted)
    owners.respond_with(TRACK_RESTORE.subject, TrackRestored(track_id=TRACK, status="ready", restored=True))
    answer = await http.delete(URL)
    assert TrackDeleted.model_validate_json(answer.content) == deleted
    for body in ({"undo_token": TOKEN}, {}):
        restored = await http.post(f"{URL}/restore", json=body)
        assert restored.json() == {"track_id": TRACK, "status": "ready", "restored": True}
    assert owners.received == [
        DeleteTrack(track_id=TRACK),
        RestoreTrack(track_id=TRACK, undo_token=TOKEN),
        RestoreTrack(track_id=TRACK),
    ]


async def test_a_batch(http: httpx.AsyncClient, owners: Owners) -> None:
    """Its key is passed on; more than 500 tracks are refused."""
    results = [TrackResult(track_id=TRACK, status="failed", code="track_not_found", message="There is none.")]
    owners.respond_with(TRACK_BATCH.subject, BatchResult(items=results, failed=1))
    body: dict[str, Any] = {"action": "tag", "track_ids": [TRACK], "tags": ["a"]}
    answer = await http.post("/api/v1/tracks/batch", json=body, headers={"Idempotency-Key": "k"})
    assert BatchResult.model_validate_json(answer.content).items == results
    assert owners.received == [BatchTracks(action="tag", track_ids=[TRACK], tags=["a"], idempotency_key="k")]
    for wrong in (body | {"track_ids": [TRACK] * 501}, body | {"track_ids": []}, body | {"action": "burn"}):
        assert (await http.post("/api/v1/tracks/batch", json=wrong)).json()["code"] == "invalid_body"


@pytest.mark.parametrize(
    ("path", "subject", "query", "name"),
    [
        ("/history?limit=5&cursor=e17", TRACK_HISTORY.subject, GetHistory(track_id=TRACK, limit=5, cursor="e17"), TrackHistory),
        ("/versions/3/compare?with=1", VERSION_COMPARE.subject, CompareVersions.model_validate({"track_id": TRACK, "version": 3, "with": 1}), VersionComparison),
        ("/versions/3/compare", VERSION_COMPARE.subject, CompareVersions(track_id=TRACK, version=3), VersionComparison),
    ],
)  # fmt: skip
async def test_history_and_comparison(
    http: httpx.AsyncClient, owners: Owners, *, path: str, subject: str, query: Any, name: Any
) -> None:
    """Each parameter reaches the catalogue."""
    result = name.model_validate_json((samples.GOLDEN / name.__name__ / "v1.json").read_text())
    owners.respond_with(subject, result)
    answer = await http.get(URL + path)
    assert (answer.status_code, owners.received) == (200, [query])
    assert name.model_validate_json(answer.content) == result


async def test_a_track_at_a_time(http: httpx.AsyncClient, owners: Owners) -> None:
    """The time is RFC 3339; any other text is refused."""
    owners.respond_with(TRACK_GET.subject, samples.track())
    at = datetime(2026, 5, 1, 10, 0, 0, 250_000, tzinfo=UTC)
    for text in ("2026-05-01T10:00:00.25Z", "2026-05-01T12:00:00.250+02:00"):
        assert (await http.get(URL, params={"at": text})).status_code == 200
        assert owners.received[-1] == GetTrack(track_id=TRACK, at=at)
    for wrong in ("yesterday", "2026-05-01", "2026-02-30T10:00:00Z", "2026-05-01T10:00:00", "1777629600"):
        assert (await http.get(URL, params={"at": wrong})).json()["code"] == "invalid_parameter"


async def test_a_list_filtered_by_tags_and_f_measure(http: httpx.AsyncClient, owners: Owners) -> None:
    """`tag` is repeated; a comma is part of a tag."""
    owners.respond_with(TRACK_LIST.subject, samples.page())
    query = "tag=a&tag=b%2Cc&min_f_measure=0.5&max_f_measure=1&min_bpm=90.5&sort=title&status=deleted"
    assert (await http.get(f"/api/v1/tracks?{query}")).status_code == 200
    assert owners.received == [
        ListTracks(
            tag=["a", "b,c"],
            min_f_measure=0.5,
            max_f_measure=1,
            min_bpm=90.5,
            sort="title",
            status="deleted",
        )
    ]
    for wrong in ("tag=", "min_f_measure=1.1", "max_bpm=-1", "sort=title&sort=bpm", "&".join(["tag=a"] * 9)):
        assert (await http.get(f"/api/v1/tracks?{wrong}")).json()["code"] == "invalid_parameter"


async def test_an_upload_of_the_bytes_of_a_deleted_track_restores_it(
    http: httpx.AsyncClient, owners: Owners, unique: str
) -> None:
    """The response says so; while the catalogue does not respond, the track is just known."""
    song = songs.wav(2.0, int(unique[:7], 16))
    upload = "/api/v1/tracks/upload"
    first = await http.post(upload, files={"file": ("a.wav", song)})
    track = first.json()["track_id"]
    for result, status in (
        (TrackRestored(track_id=track, status="ready", restored=True), "restored"),
        (TrackRestored(track_id=track, status="ready", restored=False), "existing"),
        (QueryError("track_not_found", "Not yet.", 404), "existing"),
    ):
        owners.respond_with(TRACK_RESTORE.subject, result)
        again = await http.post(upload, files={"file": ("b.wav", song)})
        assert (again.status_code, again.json()["status"]) == (200, status)
    assert owners.received[0] == RestoreTrack(track_id=track, reason="uploaded again")
    owners.respond_with(TRACK_RESTORE.subject, TrackRestored(track_id=track, status="ready", restored=True))
    tus = {"Tus-Resumable": "1.0.0"}
    created = await http.post("/api/v1/uploads", headers=tus | {"Upload-Length": str(len(song))})
    resumable = await http.patch(
        created.headers["Location"],
        content=song,
        headers=tus | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
    )
    assert (resumable.headers["K1-Track-Id"], resumable.headers["K1-Upload-Status"]) == (track, "restored")
    expected = (await http.post("/api/v1/tracks", json={"title": "Again"})).json()
    async with httpx.AsyncClient() as store:
        await store.put(expected["upload_url"], content=song)
    completed = await http.post(f"/api/v1/tracks/{expected['track_id']}/complete")
    assert (completed.status_code, completed.json()["status"]) == (200, "restored")
