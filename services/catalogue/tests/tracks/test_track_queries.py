"""Tests of the queries about tracks, versions, artefacts and maps, with real stores."""

import hashlib
import json

import httpx
import pytest

from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.tracks.artefacts import EXPECTED
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts.genesis import GenesisMap
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.tracks import GetGenesis, GetTrack, GetVersion
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.song_samples import Song, genesis, message, upload
from tests.support.waiting import PATIENCE_S


@pytest.fixture
async def song(job_events: JobEventHandlers, objects: ObjectStore) -> Song:
    """A song that is ready."""
    song = await upload(job_events, tags=["synth"], preset="edm")
    await job_events.handle_started(message(song.started()))
    await job_events.handle_completed(message(await song.analysed(objects)))
    return song


async def test_a_track_with_its_versions(track_queries: TrackQueries, song: Song) -> None:
    """The detail has the track and its versions; the artefacts have no URLs."""
    detail = await track_queries.get_track(GetTrack(track_id=song.track_id))
    track, [version] = detail.track, detail.versions
    assert (track.title, track.status, track.bpm, track.preset) == ("Night Drive", "ready", 128.0, "edm")
    assert track.audio == song.uploaded().audio
    assert (version.status, version.job_id, version.engine) == ("ready", song.job_id, "k1-engine 1.0.0")
    assert version.summary == song.completed().summary
    assert [warning.code for warning in version.warnings] == ["quiet"]
    assert {each.type: each.url for each in version.artefacts} == {"genesis_map": None, "metrics": None}


async def test_a_version_with_the_maps_head(track_queries: TrackQueries, song: Song) -> None:
    """Metadata and figures come from the map."""
    version = await track_queries.get_version(GetVersion(track_id=song.track_id, version=1))
    assert (version.metadata, version.metrics) == (genesis()["metadata"], genesis()["global_metrics"])


async def test_a_version_that_is_still_analysed(
    track_queries: TrackQueries, job_events: JobEventHandlers
) -> None:
    """The version is there, without figures; its map is pending, not missing."""
    song = await upload(job_events)
    version = await track_queries.get_version(GetVersion(track_id=song.track_id, version=1))
    assert (version.status, version.metrics, version.artefacts) == ("processing", None, [])
    with pytest.raises(QueryError) as caught:
        await track_queries.get_genesis(GetGenesis(track_id=song.track_id, version=1))
    assert (caught.value.code, caught.value.status) == ("genesis_pending", 409)
    await job_events.handle_failed(message(song.failed()))
    with pytest.raises(QueryError) as caught:
        await track_queries.get_genesis(GetGenesis(track_id=song.track_id, version=1))
    assert (caught.value.code, caught.value.status) == ("genesis_missing", 404)


async def test_artefacts(track_queries: TrackQueries, song: Song, objects: ObjectStore) -> None:
    """Every expected artefact is artefacts; those that exist have a working URL and, if small JSON, their content."""
    artefacts = (await track_queries.list_artefacts(GetVersion(track_id=song.track_id, version=1))).artefacts
    assert [(each.type, each.name) for each in artefacts] == list(EXPECTED)
    present = {each.name: each for each in artefacts if each.status == "present"}
    assert set(present) == {"track.genesis.json", "phase2b_metrics.json"}
    assert present["phase2b_metrics.json"].inline_json == {"f": 0.95}
    assert present["track.genesis.json"].inline_json is None
    url = present["track.genesis.json"].url
    assert url is not None
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        body = (await http.get(url)).content
    assert present["track.genesis.json"].sha256 == hashlib.sha256(body).hexdigest()
    assert {each.id for each in artefacts if each.status == "missing"} == {None}


async def test_the_whole_map(track_queries: TrackQueries, song: Song) -> None:
    """The response equals the artefact, and its entity tag is the hash."""
    found = await track_queries.get_genesis(GetGenesis(track_id=song.track_id, version=1))
    assert genesis() == json.loads(found.json())
    assert genesis()["metadata"]["hashes"]["map_sha256"] == found.etag
    GenesisMap.model_validate_json(found.json())


async def test_a_slice_of_the_map(track_queries: TrackQueries, song: Song) -> None:
    """The metadata describes the slice, and the slice has its own entity tag."""
    query = GetGenesis(
        track_id=song.track_id, version=1, layers=["frequency"], from_ms=1000, to_ms=11_000, max_points=20
    )
    found = await track_queries.get_genesis(query)
    content = json.loads(found.json())
    assert content["metadata"]["slice"] == {
        "layers": ["frequency"],
        "from_ms": 1000.0,
        "to_ms": 11_000.0,
        "max_points": 20,
        "downsampling": "min_max",
    }
    assert set(content["layers"]) == {"frequency"}
    assert len(content["layers"]["frequency"]["bass"]) <= 20
    whole = await track_queries.get_genesis(GetGenesis(track_id=song.track_id, version=1))
    assert len({found.etag, whole.etag}) == 2


async def test_a_map_that_the_client_already_has(track_queries: TrackQueries, song: Song) -> None:
    """A query with the same entity tag gets no body, for the map and for a slice; another slice gets one."""
    for query in (
        GetGenesis(track_id=song.track_id, version=1),
        GetGenesis(track_id=song.track_id, version=1, layers=["rhythm"]),
    ):
        first = await track_queries.get_genesis(query)
        again = await track_queries.get_genesis(query.model_copy(update={"etag": first.etag}))
        assert (again.etag, again.body) == (first.etag, None)
        other = query.model_copy(update={"etag": first.etag, "max_points": 10})
        assert (await track_queries.get_genesis(other)).body is not None


async def test_unknown_tracks_and_versions(track_queries: TrackQueries, song: Song) -> None:
    """An unknown track and an unknown version have their own codes."""
    unknown, beyond = new_id("trk"), {"track_id": song.track_id, "version": 2}
    for response, code in (
        (track_queries.get_track(GetTrack(track_id=unknown)), "track_not_found"),
        (track_queries.get_version(GetVersion(track_id=unknown, version=1)), "track_not_found"),
        (track_queries.get_version(GetVersion(**beyond)), "version_not_found"),
        (track_queries.list_artefacts(GetVersion(**beyond)), "version_not_found"),
        (track_queries.get_genesis(GetGenesis(**beyond)), "version_not_found"),
    ):
        with pytest.raises(QueryError) as caught:
            await response
        assert (caught.value.code, caught.value.status) == (code, 404)


async def test_a_window_that_ends_before_it_begins(track_queries: TrackQueries, song: Song) -> None:
    """The error says that from_ms must be less than to_ms."""
    with pytest.raises(QueryError, match="less than") as caught:
        await track_queries.get_genesis(GetGenesis(track_id=song.track_id, version=1, from_ms=5, to_ms=5))
    assert caught.value.status == 422


async def test_the_same_recording_under_another_tag(
    track_queries: TrackQueries, job_events: JobEventHandlers, objects: ObjectStore, unique: str
) -> None:
    """Tracks whose decoded audio is the same name each other, oldest first; a track never names itself."""
    pcm = hashlib.sha256(unique.encode()).hexdigest()
    songs = [Song(), Song(), Song()]
    for known, song in zip((pcm, pcm, hashlib.sha256(pcm.encode()).hexdigest()), songs, strict=True):
        await job_events.handle_track_uploaded(message(song.uploaded()))
        completed = await song.analysed(objects)
        summary = completed.summary.model_copy(update={"pcm_sha256": known})
        await job_events.handle_completed(message(completed.model_copy(update={"summary": summary})))
    first, second, _ = songs
    details = [await track_queries.get_track(GetTrack(track_id=song.track_id)) for song in songs]
    assert [each.same_recording_as for each in details] == [[second.track_id], [first.track_id], []]
