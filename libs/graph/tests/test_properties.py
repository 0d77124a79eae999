"""What holds for every graph that the catalogue allows."""

from typing import cast

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k1_contracts.graph import GraphDocument
from k1_graph.executor.rendering import render
from k1_graph.graph import to_document
from k1_graph.optimiser import optimise
from k1_graph.song import sample_song
from k1_graph.strategies import graphs
from k1_graph.testing import synthetic_map
from k1_graph.validation.validator import compile_graph, validate

SONG = sample_song(synthetic_map(1_500.0, bpm=150.0))
RELAXED = settings(suppress_health_check=cast("list[HealthCheck]", list(HealthCheck)))


@RELAXED
@given(graphs())
def test_any_valid_graph_runs_and_its_optimised_form_gives_the_same_pixels(document: GraphDocument) -> None:
    """Fewer nodes, not one byte of a pixel different; and the optimised graph is a valid document."""
    graph = compile_graph(document)
    smaller = optimise(graph).graph
    plain = np.concatenate(list(render(graph, SONG)))
    assert plain.shape == (75, 180, 3)
    assert np.array_equal(plain, np.concatenate(list(render(smaller, SONG))))
    assert len(smaller.nodes) <= len(graph.nodes)
    again = to_document(smaller, "optimised")
    assert validate(again.model_dump(mode="json")).ok
    assert np.array_equal(plain, np.concatenate(list(render(compile_graph(again), SONG))))


@RELAXED
@given(graphs(), st.integers(1, 40))
def test_the_chunk_size_does_not_change_a_pixel(document: GraphDocument, chunk_frames: int) -> None:
    """State is carried over exactly, whatever the chunks."""
    graph = compile_graph(document)
    whole = np.concatenate(list(render(graph, SONG)))
    assert np.array_equal(whole, np.concatenate(list(render(graph, SONG, chunk_frames=chunk_frames))))


@RELAXED
@given(graphs(max_nodes=4))
def test_optimising_twice_changes_nothing_more(document: GraphDocument) -> None:
    """The optimiser reaches a fixed point."""
    once = optimise(compile_graph(document)).graph
    assert optimise(once).rewrites == []
