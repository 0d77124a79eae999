"""Measures loudness by EBU R128 (ITU-R BS.1770) with libav's meter: integrated, range, short-term and true peak."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from av.audio.frame import AudioFrame
from av.error import BlockingIOError as NotYetError
from av.error import EOFError as ExhaustedError
from av.filter import Graph

from k1_analysis.engine.audio.framing import Floats
from k1_analysis.engine.audio.resampling import mono_frame
from k1_contracts.genesis import LOUDNESS_RATE_HZ

SHORT_TERM_S = 3
SILENCE_LUFS = -70.0
"""The absolute gate of BS.1770: quieter audio is not measured."""
_STANDARD_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class Loudness:
    """Loudness of a whole song."""

    integrated_lufs: float | None
    """None when nothing exceeds the gate."""
    range_lu: float
    true_peak_dbtp: float | None
    """None for digital silence."""
    short_term_lufs: Floats
    """(N,) loudness of the last three seconds, 10 points a second, not below SILENCE_LUFS: point i covers SHORT_TERM_S
    from i / 10 s. Empty for a shorter song."""


@dataclass(slots=True)
class LoudnessMeter:
    """Measures the frames pushed into it: interleaved float32, one sample rate and layout throughout."""

    _graph: Graph | None = None
    _short_term: list[float] = field(default_factory=list[float])
    _last: dict[str, str] = field(default_factory=dict[str, str])

    def push(self, frame: AudioFrame) -> None:
        # Beyond 7.1 no weights are standardised, so the meter gets the mean of the channels.
        metered = mono_frame(frame) if frame.layout.nb_channels > _STANDARD_CHANNELS else frame
        if self._graph is None:
            self._graph = _graph(metered)
        self._graph.push(metered)
        self._drain()

    def finish(self) -> Loudness:
        """Return the loudness of everything pushed; the meter cannot be used again."""
        if self._graph is not None:
            self._graph.push(None)
            self._drain()
        peaks = [_number(value) for name, value in self._last.items() if "true_peaks_ch" in name]
        return Loudness(
            integrated_lufs=_above(_number(self._last.get("lavfi.r128.I")), SILENCE_LUFS),
            range_lu=max(0.0, _number(self._last.get("lavfi.r128.LRA")) or 0.0),
            true_peak_dbtp=_decibels(max((peak for peak in peaks if peak is not None), default=0.0)),
            short_term_lufs=np.array(self._short_term[SHORT_TERM_S * LOUDNESS_RATE_HZ - 1 :], np.float32),
        )

    def _drain(self) -> None:
        assert self._graph is not None
        while True:
            try:
                measured = self._graph.pull()
            except (NotYetError, ExhaustedError):
                return
            assert isinstance(measured, AudioFrame)
            self._last = measured.metadata or self._last
            short_term = _number(self._last.get("lavfi.r128.S"))
            self._short_term.append(SILENCE_LUFS if short_term is None else max(SILENCE_LUFS, short_term))


def _graph(frame: AudioFrame) -> Graph:
    graph = Graph()
    source = graph.add_abuffer(
        template=None,
        sample_rate=frame.sample_rate,
        format=frame.format,
        layout=frame.layout,
        time_base=frame.time_base,
    )
    chain = [source, graph.add("ebur128", "peak=true:metadata=1"), graph.add("abuffersink")]
    for upstream, downstream in pairwise(chain):
        upstream.link_to(downstream)
    graph.configure()
    return graph


def _number(text: str | None) -> float | None:
    value = float("nan") if text is None else float(text)
    return value if np.isfinite(value) else None


def _above(value: float | None, floor: float) -> float | None:
    return value if value is not None and value > floor else None


def _decibels(amplitude: float) -> float | None:
    return float(20 * np.log10(amplitude)) if amplitude > 0 else None
