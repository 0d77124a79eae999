"""What is asked of a song before it is accepted, and what is learnt. Pure."""

from dataclasses import dataclass

from k1_ingest.sniffing import Container


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """What a child is asked; `path` may be another process's file descriptor under /proc."""

    path: str
    container: Container
    max_minutes: float


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What the container and its first frames say."""

    codec: str
    sample_rate_hz: int
    channels: int
    declared_ms: float | None
    """The length that the file declares: a hint."""
