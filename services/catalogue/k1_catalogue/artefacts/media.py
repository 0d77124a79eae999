"""Answers where the audio of a track, its small copy, and the waveform of a version lie."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePath
from typing import Final

from k1_catalogue import errors
from k1_catalogue.artefacts import audio_copy_store
from k1_catalogue.tracks import store as track_store
from k1_catalogue.tracks.artefact_store import artefacts_of_version
from k1_catalogue.tracks.version_checks import require_version
from k1_contracts.messages.catalogue.media import (
    OPUS_TYPE,
    AudioCopied,
    AudioSource,
    CopyAudio,
    GetAudio,
    GetWaveform,
    StoredObject,
)
from k1_contracts.tracks import AudioRef
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore

CopyTheAudio = Callable[[CopyAudio], Awaitable[AudioCopied]]
"""Has the analysis service make the copy."""
LARGE_BYTES: Final = 4 * 1024 * 1024
LARGE_BITS_PER_S: Final = 160_000
"""A file is large that is over both: a copy of 96 kbit/s is then at most three fifths of it."""
SERVICE_URL_LIFETIME: Final = timedelta(minutes=5)
"""Of a URL that the gateway uses at once."""
_CONTENT_TYPES: Final = {
    "mp3": "audio/mpeg",
    "mp2": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "aiff": "audio/aiff",
}


@dataclass(frozen=True, slots=True)
class MediaQueries:
    """Answers from the tables; the gateway fetches the bytes itself."""

    pool: Pool
    objects: ObjectStore
    copy_audio: CopyTheAudio

    async def get_audio(self, query: GetAudio) -> AudioSource:
        """Return where the uploaded file of a track lies, or its small copy, which is made if there is none.

        Raises:
            QueryError: `track_not_found`, `track_uploading` while the file is on its way, `audio_copy_failed`.
        """
        async with self.pool.acquire() as connection:
            track = await track_store.find_track(connection, query.track_id)
        if track is None:
            raise errors.track_not_found(query.track_id)
        audio = track.audio
        if audio is None:
            raise errors.track_uploading(query.track_id)
        if query.format == "opus" and is_large(audio):
            copy = await self._copy_of(query.track_id, audio)
            return AudioSource(
                url=self.objects.signed_url(copy.key, expires=SERVICE_URL_LIFETIME, internal=True),
                size_bytes=copy.size_bytes,
                sha256=copy.sha256,
                content_type=OPUS_TYPE,
                filename=f"{PurePath(track.filename).stem}.opus",
                audio=audio,
            )
        return AudioSource(
            url=self.objects.signed_url(audio.key, expires=SERVICE_URL_LIFETIME, internal=True),
            size_bytes=audio.size_bytes,
            sha256=audio.sha256,
            content_type=_CONTENT_TYPES.get(audio.container, "application/octet-stream"),
            filename=PurePath(track.filename).name,
            audio=audio,
        )

    async def _copy_of(self, track_id: str, audio: AudioRef) -> AudioCopied:
        """Return the copy. Two first requests at once store the same bytes under the same key."""
        async with self.pool.acquire() as connection:
            found = await audio_copy_store.find_copy(connection, track_id)
        if found is None:
            found = await self.copy_audio(CopyAudio(track_id=track_id, audio=audio))
            async with self.pool.acquire() as connection:
                await audio_copy_store.save_copy(connection, track_id, found)
        return found

    async def get_waveform(self, query: GetWaveform) -> StoredObject:
        """Return where the waveform of a version lies.

        Raises:
            QueryError: `waveform_missing` for a version that an earlier release analysed.
        """
        async with self.pool.acquire() as connection:
            track = await track_store.find_track(connection, query.track_id)
            if track is None:
                raise errors.track_not_found(query.track_id)
            version = query.version or track.current_version
            if version is None:
                raise errors.waveform_missing(query.track_id, version)
            await require_version(connection, query.track_id, version)
            artefacts = await artefacts_of_version(connection, query.track_id, version, inline=False)
        found = next((each for each in artefacts if each.artefact.type == "waveform"), None)
        if found is None:
            raise errors.waveform_missing(query.track_id, version)
        return StoredObject(
            url=self.objects.signed_url(found.key, expires=SERVICE_URL_LIFETIME, internal=True),
            size_bytes=found.artefact.size_bytes or 0,
            sha256=found.artefact.sha256 or "",
            content_type="application/octet-stream",
            filename=found.artefact.name,
        )


def is_large(audio: AudioRef) -> bool:
    """Return whether a copy saves much. A file that declares no length is judged by its size."""
    if audio.size_bytes <= LARGE_BYTES:
        return False
    return not audio.duration_ms or audio.size_bytes * 8000 / audio.duration_ms > LARGE_BITS_PER_S
