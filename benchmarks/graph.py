"""The executor on a four-minute song, against the same graph run frame by frame in a plain Python loop.

The peer calls the same kernels with one frame at a time, as a device does, so that the ratio is what vectorising over chunks of
frames gains; it is measured in the same run on a shorter slice and compared per frame.

    python benchmarks/graph.py
"""

import time
from collections.abc import Callable

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


def best_of(work: Callable[[], object]) -> float:
    """Seconds of the fastest of a few rounds."""
    seconds: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def measure(preset: str) -> float:
    """Print one preset's line; return its ratio."""
    genesis = synthetic_map(SONG_MS, bpm=126.0)
    song = sample_song(genesis)
    graph: Graph = compile_graph(recommend(genesis, preset).graph)

    def run(chunk_frames: int, frames: int) -> None:
        for _ in render(graph, song, chunk_frames=chunk_frames, stop=frames):
            pass

    whole = best_of(lambda: run(CHUNK_FRAMES, song.frames))
    loop = best_of(lambda: run(1, SLICE_FRAMES)) / SLICE_FRAMES * song.frames
    report = best_of(lambda: simulate(graph, genesis))
    ratio = loop / whole
    print(
        f"{preset:>10}: {song.frames} frames x {len(graph.nodes)} nodes in {whole:.2f} s, "
        f"frame by frame {loop:.2f} s: {ratio:.1f} times faster; with reports and previews {report:.2f} s"
    )
    return ratio


if __name__ == "__main__":
    ratios = [measure(preset) for preset in PRESETS]
    print(f"ratio, least: {min(ratios):.1f}")
