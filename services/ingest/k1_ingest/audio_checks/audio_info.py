"""The input and the result of the probe of a song: metadata of its audio. Pure."""

from dataclasses import dataclass

from k1_ingest.audio_checks.container_detection import Container


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """The song that a probe process checks. `path` may be a file descriptor of another process under /proc."""

    path: str
    container: Container
    max_minutes: float


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Metadata of the audio, from the container and its first frames."""

    codec: str
    sample_rate_hz: int
    channels: int
    declared_ms: float | None
    """The length that the file declares, in ms. It may be wrong."""
    title: str | None = None
    """The title in the file's own tags: one line, within the limits of a title."""
    artist: str | None = None
