"""Cuts what was measured of a recording to a stretch of it, so that one song gives several cases."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from k1_analysis.engine.audio.features import ATTACK_STEPS, Envelopes, Features
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.levels import AudibleRange, find_audible, find_silences
from k1_analysis.engine.audio.tonal import RATE_HZ, Tonal
from k1_analysis.engine.beats.agreement.committee import MemberName
from k1_contracts.genesis import ENVELOPE_RATE_HZ

Span = tuple[int, int]
"""Start and end in whole seconds: all rates are whole, so no frame is split."""


@dataclass(frozen=True)
class Recording:
    """What the engine finds the rhythm of a recording from."""

    features: Features
    tonal: Tonal
    activation: Floats
    """(T, 2) the network's beat and downbeat probabilities."""
    trackers: Mapping[MemberName, Seconds]
    """The beats of the trackers that work without the network."""

    @property
    def duration_s(self) -> float:
        return len(self.activation) / FRAME_RATE_HZ

    @property
    def audible(self) -> AudibleRange:
        """Return when it sounds."""
        return find_audible(find_silences(self.features.envelopes, self.duration_s), self.duration_s)


def spans(duration_s: int, length_s: int) -> list[Span]:
    """Return the stretches that follow each other; the last is at least half as long as the others."""
    starts = range(0, duration_s - length_s // 2, length_s)
    return [(start, min(start + length_s, duration_s)) for start in starts]


def cut(recording: Recording, span: Span) -> Recording:
    """Return a stretch of the recording, with times from the start of the stretch."""
    features, tonal = recording.features, recording.tonal
    return Recording(
        features=Features(
            log_bands=_rows(features.log_bands, span, FRAME_RATE_HZ),
            onsets=_rows(features.onsets, span, FRAME_RATE_HZ),
            attack=_rows(features.attack, span, ATTACK_STEPS * FRAME_RATE_HZ),
            envelopes=Envelopes(
                **{
                    each.name: _rows(getattr(features.envelopes, each.name), span, ENVELOPE_RATE_HZ)
                    for each in fields(Envelopes)
                }
            ),
        ),
        tonal=Tonal(
            chroma=_rows(tonal.chroma, span, RATE_HZ),
            bass_chroma=_rows(tonal.bass_chroma, span, RATE_HZ),
            mfcc=_rows(tonal.mfcc, span, RATE_HZ),
        ),
        activation=_rows(recording.activation, span, FRAME_RATE_HZ),
        trackers={name: times_within(times, span) for name, times in recording.trackers.items()},
    )


def times_within(times: Seconds, span: Span) -> Seconds:
    """Return the times in the stretch, from its start."""
    start, end = span
    return times[(times >= start) & (times < end)] - start


def _rows(values: Floats, span: Span, rate_hz: int) -> Floats:
    start, end = span
    return values[start * rate_hz : end * rate_hz]
