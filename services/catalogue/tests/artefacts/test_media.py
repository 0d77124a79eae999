"""Tests the audio of a track for listening, and the keys of its objects."""

import pytest

from k1_catalogue.artefacts.media import MediaQueries
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.storage.reference_store import keys_only_of_track
from k1_contracts.messages.catalogue.media import AudioCopied, CopyAudio, GetAudio, GetWaveform
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.artefacts.conftest import code, deploy
from services.catalogue.tests.song_samples import analyse, message, upload


async def _no_copy(_: CopyAudio) -> AudioCopied:
    raise AssertionError("nobody asked for a copy")


async def test_media(pool: Pool, job_events: JobEventHandlers, objects: ObjectStore) -> None:
    """The audio has its media type; a version of an earlier release has no waveform, and the problem says what to do."""
    media = MediaQueries(pool, objects, _no_copy)
    song = await analyse(job_events, objects)
    source = await media.get_audio(GetAudio(track_id=song.track_id))
    assert (source.content_type, source.filename) == ("audio/mpeg", "night drive.mp3")
    for version in (None, 1):
        with pytest.raises(QueryError, match="analyse the song again") as error:
            await media.get_waveform(GetWaveform(track_id=song.track_id, version=version))
        assert code(error) == "waveform_missing"
    newer = await upload(job_events, 1)
    event = await newer.analysed(objects)
    waveform = await newer.artefact(objects, "waveform", "waveform.dat", b"peaks")
    await job_events.handle_completed(
        message(event.model_copy(update={"artefacts": [*event.artefacts, waveform]}))
    )
    found = await media.get_waveform(GetWaveform(track_id=newer.track_id))
    assert (found.size_bytes, found.sha256) == (5, waveform.sha256)


async def test_the_keys_of_one_track(pool: Pool, job_events: JobEventHandlers, objects: ObjectStore) -> None:
    """What another track refers to does not go with a track."""
    song, other = await analyse(job_events, objects), await upload(job_events, 1)
    own = {f"artefacts/{song.track_id}/1/{name}" for name in ("track.genesis.json", "phase2b_metrics.json")}
    async with pool.acquire() as connection:
        assert await keys_only_of_track(connection, song.track_id) == own  # both have the same audio
        await connection.execute("DELETE FROM catalogue.tracks WHERE id = $1", other.track_id)
        keys = await keys_only_of_track(connection, song.track_id)
        assert keys - own == {song.uploaded().audio.key}
        await deploy(pool, song, "succeeded", "d" * 64)
        keys = await keys_only_of_track(connection, song.track_id)
        assert f"graphs/{'d' * 64}/bundle.k1b" in keys
