"""Simulates a graph over a whole song, plain and optimised, and reports on the pixels of the strip."""

import hashlib
from dataclasses import dataclass
from functools import partial

import numpy as np

from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import CurrentDraw, ExecutorScale, VisualReport
from k1_graph.colour import Array, to_lab
from k1_graph.costs import cpu_pct, total_us
from k1_graph.executor.rendering import list_approximations, render
from k1_graph.graph import Graph
from k1_graph.limits import FPS, FRAME_MS, LEDS
from k1_graph.optimiser import Optimised, optimise
from k1_graph.reports.photosensitivity import PhotosensitivityCheck, causing_node
from k1_graph.reports.preview import PreviewImage, PreviewStream
from k1_graph.song import SampledSong, sample_song

_CHANNEL_MA = 20.0
_DELTA_FORMULA = "CIE76: Euclidean distance in CIE L*a*b* (D65, 2 degrees) between 8-bit sRGB pixels"


@dataclass(frozen=True, slots=True)
class Simulation:
    """The results of running a graph over a song."""

    scale: ExecutorScale
    visual: VisualReport
    preview_png: bytes
    preview_bin: bytes
    optimised: Graph


def simulate(graph: Graph, genesis: GenesisMap) -> Simulation:
    """Render every frame of the song with the plain and with the optimised graph.

    Memory holds one chunk of frames and the compressed preview. The result is deterministic. Raises
    MapUnusableError for a map longer than six hours.
    """
    song = sample_song(genesis)
    optimised = optimise(graph)
    comparison = _Comparison()
    current = _CurrentMeter()
    flashes = PhotosensitivityCheck()
    image = PreviewImage(song.frames)
    stream = PreviewStream(song.frames, symmetric=graph.nodes[graph.root].spec.type == "LedOutputMirror")
    for plain, small in zip(render(graph, song), render(optimised.graph, song), strict=True):
        comparison.feed(plain, small)
        current.feed(plain)
        flashes.feed(plain)
        image.feed(plain)
        stream.feed(plain)
    notes = list_approximations(graph)
    return Simulation(
        scale=_executor_scale(graph, optimised, song, comparison, notes),
        visual=VisualReport(
            pixel_mismatch_pct=comparison.mismatch_pct(),
            max_delta_lab=round(comparison.max_delta, 3),
            delta_formula=_DELTA_FORMULA,
            frames_tested=song.frames,
            current=current.result(),
            photosensitivity=flashes.result(partial(causing_node, graph, song)),
            approximations=notes,
        ),
        preview_png=image.png(),
        preview_bin=stream.finish(),
        optimised=optimised.graph,
    )


def _executor_scale(
    graph: Graph, optimised: Optimised, song: SampledSong, comparison: "_Comparison", notes: list[str]
) -> ExecutorScale:
    before_ms = total_us(graph.nodes.values()) / 1000.0
    after_ms = total_us(optimised.graph.nodes.values()) / 1000.0
    return ExecutorScale(
        before_ms=round(before_ms, 4),
        after_ms=round(after_ms, 4),
        cpu_pct_before=cpu_pct(before_ms),
        cpu_pct_after=cpu_pct(after_ms),
        nodes_before=len(graph.nodes),
        nodes_after=len(optimised.graph.nodes),
        state_bytes_before=sum(node.state_bytes for node in graph.nodes.values()),
        state_bytes_after=sum(node.state_bytes for node in optimised.graph.nodes.values()),
        rewrites=optimised.rewrites,
        frames=song.frames,
        fps=FPS,
        leds=LEDS,
        pixels_identical=comparison.different == 0,
        pixels_sha256=comparison.digest.hexdigest(),
        approximations=notes,
    )


class _Comparison:
    """Measures the difference between two renderings, pixel by pixel."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.different = 0
        self.max_delta = 0.0
        self._pixels = 0

    def feed(self, plain: Array, other: Array) -> None:
        self.digest.update(np.ascontiguousarray(plain).data)
        self._pixels += plain.shape[0] * LEDS
        differs = (plain != other).any(axis=2)
        count = int(differs.sum())
        if count:
            self.different += count
            delta = to_lab(plain[differs]) - to_lab(other[differs])
            self.max_delta = max(self.max_delta, float(np.sqrt((delta**2).sum(axis=1)).max()))

    def mismatch_pct(self) -> float:
        return round(100.0 * self.different / self._pixels, 6)


class _CurrentMeter:
    """Computes the supply current of the strip from the pixel values."""

    def __init__(self) -> None:
        self._frame_sums: list[Array] = []

    def feed(self, pixels: Array) -> None:
        self._frame_sums.append(pixels.sum(axis=(1, 2), dtype=np.int64))

    def result(self) -> CurrentDraw:
        milliamps = np.concatenate(self._frame_sums) * (_CHANNEL_MA / 255.0)
        peak = int(np.argmax(milliamps))
        return CurrentDraw(
            mean_ma=round(float(milliamps.mean()), 1),
            peak_ma=round(float(milliamps[peak]), 1),
            peak_at_ms=peak * FRAME_MS,
            ma_per_led=3 * _CHANNEL_MA,
        )
