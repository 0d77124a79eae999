"""Measures the graph executor on a four-minute song against a frame-by-frame loop.

The baseline calls the same kernels with one frame at a time, as a device does, so the ratio is the gain of vectorising
over chunks of frames. It runs in the same process on a shorter part of the song; times are compared per frame.

    python -m benchmarks.graph
"""

from collections.abc import Callable

from benchmarks.figures import time_call
from k1_graph.executor.rendering import CHUNK_FRAMES, render
from k1_graph.graph import Graph
from k1_graph.recommendation.recommender import recommend
from k1_graph.reports.simulation import simulate
from k1_graph.song import sample_song
from k1_graph.testing import synthetic_map
from k1_graph.validation.validator import compile_graph

SONG_MS = 240_000.0
SLICE_FRAMES = 1_500
ROUNDS = 3
PRESETS = ("edm", "rock", "orchestral", "jazz", "hiphop")


def shortest_time(function: Callable[[], object]) -> float:
    """Return the shortest wall time of a few rounds, in seconds."""
    return min(time_call(function) for _ in range(ROUNDS))


def measure(preset: str) -> float:
    """Measure one preset, print its line and return the ratio."""
    genesis = synthetic_map(SONG_MS, bpm=126.0)
    song = sample_song(genesis)
    graph: Graph = compile_graph(recommend(genesis, preset).graph)

    def run(chunk_frames: int, frames: int) -> None:
        for _ in render(graph, song, chunk_frames=chunk_frames, stop=frames):
            pass

    whole = shortest_time(lambda: run(CHUNK_FRAMES, song.frames))
    loop = shortest_time(lambda: run(1, SLICE_FRAMES)) / SLICE_FRAMES * song.frames
    report = shortest_time(lambda: simulate(graph, genesis))
    ratio = loop / whole
    print(
        f"{preset:>10}: {song.frames} frames x {len(graph.nodes)} nodes in {whole:.2f} s, "
        f"frame by frame {loop:.2f} s: {ratio:.1f} times faster; with reports and previews {report:.2f} s"
    )
    return ratio


if __name__ == "__main__":
    ratios = [measure(preset) for preset in PRESETS]
    print(f"smallest ratio: {min(ratios):.1f}")
