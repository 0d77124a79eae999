"""Answers about tracks, versions, artefacts and maps, from real stores."""

import hashlib
import json

import httpx
import pytest

from k1_catalogue.artefacts import EXPECTED
from k1_catalogue.intake import Intake
from k1_catalogue.questions import Questions
from k1_contracts.genesis import GenesisMap
from k1_contracts.ids import new_id
from k1_contracts.messages.tracks import GetGenesis, GetTrack, GetVersion
from k1_platform.objects import ObjectStore
from k1_platform.rpc import AnswerError
from services.catalogue.tests.conftest import PATIENCE_S
from services.catalogue.tests.songs import Song, event, genesis


@pytest.fixture
async def song(intake: Intake, objects: ObjectStore) -> Song:
    """A song that is ready."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded(tags=["synth"], preset="edm")))
    await intake.analysis_started(event(song.started()))
    await intake.analysis_completed(event(await song.analysed(objects)))
    return song


async def test_a_track_with_its_versions(questions: Questions, song: Song) -> None:
    """The detail page's content; artefacts without URLs."""
    detail = await questions.get_track(GetTrack(track_id=song.track_id))
    track, [version] = detail.track, detail.versions
    assert (track.title, track.status, track.bpm, track.preset) == ("Night Drive", "ready", 128.0, "edm")
    assert track.audio == song.uploaded().audio
    assert (version.status, version.job_id, version.engine) == ("ready", song.job_id, "k1-engine 1.0.0")
    assert version.summary == song.completed().summary
    assert [warning.code for warning in version.warnings] == ["quiet"]
    assert {each.type: each.url for each in version.artefacts} == {"genesis_map": None, "metrics": None}


async def test_a_version_with_the_maps_head(questions: Questions, song: Song) -> None:
    """Metadata and figures come from the map."""
    version = await questions.get_version(GetVersion(track_id=song.track_id, version=1))
    assert (version.metadata, version.metrics) == (genesis()["metadata"], genesis()["global_metrics"])


async def test_a_version_that_is_still_analysed(questions: Questions, intake: Intake) -> None:
    """It is there, without figures; its map is pending, not missing."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    version = await questions.get_version(GetVersion(track_id=song.track_id, version=1))
    assert (version.status, version.metrics, version.artefacts) == ("processing", None, [])
    with pytest.raises(AnswerError) as caught:
        await questions.get_genesis(GetGenesis(track_id=song.track_id, version=1))
    assert (caught.value.code, caught.value.status) == ("genesis_pending", 409)
    await intake.analysis_failed(event(song.failed()))
    with pytest.raises(AnswerError) as caught:
        await questions.get_genesis(GetGenesis(track_id=song.track_id, version=1))
    assert (caught.value.code, caught.value.status) == ("genesis_missing", 404)


async def test_artefacts(questions: Questions, song: Song, objects: ObjectStore) -> None:
    """Every expected one is listed; those that exist have a URL that works and, small JSON, their content."""
    listed = (await questions.list_artefacts(GetVersion(track_id=song.track_id, version=1))).artefacts
    assert [(each.type, each.name) for each in listed] == list(EXPECTED)
    present = {each.name: each for each in listed if each.status == "present"}
    assert set(present) == {"track.genesis.json", "phase2b_metrics.json"}
    assert present["phase2b_metrics.json"].inline_json == {"f": 0.95}
    assert present["track.genesis.json"].inline_json is None
    url = present["track.genesis.json"].url
    assert url is not None
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        body = (await http.get(url)).content
    assert present["track.genesis.json"].sha256 == hashlib.sha256(body).hexdigest()
    assert {each.id for each in listed if each.status == "missing"} == {None}


async def test_the_whole_map(questions: Questions, song: Song) -> None:
    """What is answered equals the artefact and carries its hash as the tag."""
    found = await questions.get_genesis(GetGenesis(track_id=song.track_id, version=1))
    assert genesis() == json.loads(found.json())
    assert genesis()["metadata"]["hashes"]["map_sha256"] == found.etag
    GenesisMap.model_validate_json(found.json())


async def test_a_slice_of_the_map(questions: Questions, song: Song) -> None:
    """The slice says in its metadata what it is, and has its own tag."""
    asked = GetGenesis(
        track_id=song.track_id, version=1, layers=["frequency"], from_ms=1000, to_ms=11_000, max_points=20
    )
    found = await questions.get_genesis(asked)
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
    whole = await questions.get_genesis(GetGenesis(track_id=song.track_id, version=1))
    assert len({found.etag, whole.etag}) == 2


async def test_a_map_that_the_asker_holds(questions: Questions, song: Song) -> None:
    """The same tag again is answered without a body, for the map and for a slice, and not across them."""
    for asked in (
        GetGenesis(track_id=song.track_id, version=1),
        GetGenesis(track_id=song.track_id, version=1, layers=["rhythm"]),
    ):
        first = await questions.get_genesis(asked)
        again = await questions.get_genesis(asked.model_copy(update={"etag": first.etag}))
        assert (again.etag, again.body) == (first.etag, None)
        other = asked.model_copy(update={"etag": first.etag, "max_points": 10})
        assert (await questions.get_genesis(other)).body is not None


async def test_what_is_not_there(questions: Questions, song: Song) -> None:
    """Each absence has its own code."""
    nobody, beyond = new_id("trk"), {"track_id": song.track_id, "version": 2}
    for ask, code in (
        (questions.get_track(GetTrack(track_id=nobody)), "track_not_found"),
        (questions.get_version(GetVersion(track_id=nobody, version=1)), "track_not_found"),
        (questions.get_version(GetVersion(**beyond)), "version_not_found"),
        (questions.list_artefacts(GetVersion(**beyond)), "version_not_found"),
        (questions.get_genesis(GetGenesis(**beyond)), "version_not_found"),
    ):
        with pytest.raises(AnswerError) as caught:
            await ask
        assert (caught.value.code, caught.value.status) == (code, 404)


async def test_a_window_that_ends_before_it_begins(questions: Questions, song: Song) -> None:
    """Is refused with what to do."""
    with pytest.raises(AnswerError, match="less than") as caught:
        await questions.get_genesis(GetGenesis(track_id=song.track_id, version=1, from_ms=5, to_ms=5))
    assert caught.value.status == 422


async def test_the_same_recording_under_another_tag(
    questions: Questions, intake: Intake, objects: ObjectStore, unique: str
) -> None:
    """Tracks whose decoded audio is the same name each other, oldest first; a track never names itself."""
    pcm = hashlib.sha256(unique.encode()).hexdigest()
    songs = [Song(), Song(), Song()]
    for known, song in zip((pcm, pcm, hashlib.sha256(pcm.encode()).hexdigest()), songs, strict=True):
        await intake.track_uploaded(event(song.uploaded()))
        completed = await song.analysed(objects)
        summary = completed.summary.model_copy(update={"pcm_sha256": known})
        await intake.analysis_completed(event(completed.model_copy(update={"summary": summary})))
    first, second, _ = songs
    details = [await questions.get_track(GetTrack(track_id=song.track_id)) for song in songs]
    assert [each.same_recording_as for each in details] == [[second.track_id], [first.track_id], []]
