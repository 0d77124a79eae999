"""The small copy of a large song: made once, kept by a cleanup, removed with its track."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

import pytest

from k1_catalogue.artefacts.media import LARGE_BYTES, MediaQueries, is_large
from k1_catalogue.edits.purge import Purger
from k1_catalogue.edits.track_edits import PURGE_AFTER, TrackEdits
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.storage.cleanup import Cleaner
from k1_catalogue.storage.cleanup_plan import CleanupRules
from k1_catalogue.storage.store import UsageTables
from k1_contracts.messages.catalogue.media import AudioCopied, CopyAudio, GetAudio
from k1_contracts.messages.catalogue.track_edits import DeleteTrack
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.conftest import Clock
from services.catalogue.tests.song_samples import Song, upload

OPUS = b"OggS" * 100


@dataclass
class Copier:
    """Stores a copy, as the analysis service does."""

    objects: ObjectStore
    asked: list[CopyAudio] = field(default_factory=list[CopyAudio])
    error: QueryError | None = None

    async def copy(self, query: CopyAudio) -> AudioCopied:
        self.asked.append(query)
        if self.error:
            raise self.error
        key = f"audio/{query.track_id}/copy.opus"
        await self.objects.put_bytes(key, OPUS, "audio/ogg")
        return AudioCopied(key=key, size_bytes=len(OPUS), sha256=sha256(OPUS).hexdigest())


@pytest.fixture
def copier(objects: ObjectStore) -> Copier:
    return Copier(objects)


@pytest.fixture
def media(pool: Pool, objects: ObjectStore, copier: Copier) -> MediaQueries:
    return MediaQueries(pool, objects, copier.copy)


async def large_song(job_events: JobEventHandlers, seconds: float = 0) -> Song:
    audio = Song().uploaded().audio.model_copy(update={"size_bytes": 50_000_000})
    return await upload(job_events, seconds, audio=audio, filename="sets/night drive.wav")


async def test_a_copy_is_made_once(media: MediaQueries, copier: Copier, job_events: JobEventHandlers) -> None:
    """Who asks for the original, and who asks for a copy of a small song, gets the file that was uploaded."""
    song, small = await large_song(job_events), await upload(job_events, 1)
    for query in (GetAudio(track_id=song.track_id), GetAudio(track_id=small.track_id, format="opus")):
        original = await media.get_audio(query)
        assert (original.content_type, original.audio.size_bytes) == ("audio/mpeg", original.size_bytes)
    assert copier.asked == []
    wanted = GetAudio(track_id=song.track_id, format="opus")
    both = await asyncio.gather(media.get_audio(wanted), media.get_audio(wanted))
    asked = len(copier.asked)
    for copy in [*both, await media.get_audio(wanted)]:
        assert (copy.content_type, copy.filename) == ("audio/ogg", "night drive.opus")
        assert (copy.size_bytes, copy.sha256) == (len(OPUS), sha256(OPUS).hexdigest())
        assert f"audio/{song.track_id}/copy.opus" in copy.url
        assert copy.audio.size_bytes == 50_000_000
    assert len(copier.asked) == asked
    assert {(each.track_id, each.audio.size_bytes) for each in copier.asked} == {(song.track_id, 50_000_000)}


async def test_a_copy_that_fails_is_tried_again(
    media: MediaQueries, copier: Copier, job_events: JobEventHandlers
) -> None:
    song = await large_song(job_events)
    copier.error = QueryError("audio_copy_failed", "Use the original.", 503)
    with pytest.raises(QueryError, match="Use the original"):
        await media.get_audio(GetAudio(track_id=song.track_id, format="opus"))
    copier.error = None
    assert (await media.get_audio(GetAudio(track_id=song.track_id, format="opus"))).size_bytes == len(OPUS)


async def test_a_copy_lives_as_long_as_its_track(
    *,
    media: MediaQueries,
    copier: Copier,
    pool: Pool,
    objects: ObjectStore,
    job_events: JobEventHandlers,
    edits: TrackEdits,
    purger: Purger,
    clock: Clock,
) -> None:
    """A cleanup keeps it, and a purge removes it; that of a track which went meanwhile is an orphan."""
    song, kept = await large_song(job_events), await large_song(job_events, 1)
    for each in (song, kept):
        await media.get_audio(GetAudio(track_id=each.track_id, format="opus"))
    lost = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CE"
    await copier.copy(CopyAudio(track_id=lost, audio=song.uploaded().audio))
    clock.forward(PURGE_AFTER + timedelta(days=400))
    rules = CleanupRules(timedelta(days=1), timedelta(days=7))
    cleaner = Cleaner(objects, UsageTables(pool, timedelta(days=30)), rules, clock)
    assert (await cleaner.measure()).bytes["audio_copy"] == 2 * len(OPUS)
    await cleaner.clean(dry_run=False)
    assert await _existing(objects, [song.track_id, kept.track_id, lost]) == [song.track_id, kept.track_id]
    await edits.delete(DeleteTrack(track_id=song.track_id))
    clock.forward(PURGE_AFTER + timedelta(seconds=1))
    assert [track.id for track in await purger.purge_due()] == [song.track_id]
    assert await _existing(objects, [song.track_id, kept.track_id]) == [kept.track_id]
    assert await pool.fetch("SELECT track_id FROM catalogue.audio_copies") == [(kept.track_id,)]


async def _existing(objects: ObjectStore, track_ids: Sequence[str]) -> list[str]:
    return [each for each in track_ids if await objects.exists(f"audio/{each}/copy.opus")]


@pytest.mark.parametrize(
    ("size", "minutes", "large"),
    [
        (LARGE_BYTES, 1.0, False),
        (LARGE_BYTES + 1, 1.0, True),
        (LARGE_BYTES + 1, None, True),
        (LARGE_BYTES + 1, 0.0, True),
        (9_600_000, 4.0, True),
        (9_600_000, 8.0, False),
        (9_600_001, 8.0, True),
    ],
)
def test_a_file_is_large_by_size_and_bit_rate(size: int, minutes: float | None, large: bool) -> None:
    """4 MiB, and 160 kbit/s where the length is known."""
    duration = None if minutes is None else minutes * 60_000
    audio = Song().uploaded().audio.model_copy(update={"size_bytes": size, "duration_ms": duration})
    assert is_large(audio) == large
