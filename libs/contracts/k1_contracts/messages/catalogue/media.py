"""Defines the queries about the audio of a track and its waveform."""

from typing import Annotated, Final, Literal

from pydantic import Field

from k1_contracts.base import Contract
from k1_contracts.descriptors import Query
from k1_contracts.ids import Sha256, TrackId
from k1_contracts.tracks import AudioRef, Version

OPUS_TYPE: Final = "audio/ogg"
AudioFormat = Literal["original", "opus"]


class GetAudio(Contract):
    track_id: TrackId
    format: AudioFormat = "original"
    """`opus`: a small copy (96 kbit/s), where the file that was uploaded is large; else that file. It is made when it is
    first asked for, which takes some seconds."""


class CopyAudio(Contract):
    """Make a small copy of the audio of a track."""

    track_id: TrackId
    audio: AudioRef


class AudioCopied(Contract):
    """Where the copy lies."""

    key: str
    size_bytes: int = Field(gt=0)
    sha256: Sha256


class GetWaveform(Contract):
    track_id: TrackId
    version: Version | None = None
    """The version whose analysis measured it; the current one by default."""


class StoredObject(Contract):
    """An object that the gateway streams to a client."""

    url: str
    """A signed URL for services, which works for a few minutes."""
    size_bytes: int = Field(ge=0)
    sha256: Sha256
    content_type: str
    filename: str


class AudioSource(StoredObject):
    """The uploaded file of a track, or its small copy."""

    audio: AudioRef
    """The uploaded file."""


SamplesPerS = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]

AUDIO_GET: Final = Query(
    "rpc.catalogue.audio.get", GetAudio, AudioSource, summary="Where a track's audio lies"
)
WAVEFORM_GET: Final = Query(
    "rpc.catalogue.waveform.get", GetWaveform, StoredObject, summary="Where a version's waveform lies"
)
AUDIO_COPY: Final = Query(
    "rpc.analysis.audio.copy",
    CopyAudio,
    AudioCopied,
    summary="Make a small copy of the audio of a track",
    senders=("catalogue",),
)
