"""The simulation page and the drawings."""

import html
import json
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_contracts.escaping import escape_controls
from k1_graph.recommendation.recommender import recommend
from k1_graph.reports.drawing import draw_graph_png, draw_graph_svg, lay_out
from k1_graph.reports.simulation import Simulation, simulate
from k1_graph.reports.simulation_page import render_simulation_html
from k1_graph.testing import graph_of, node, synthetic_map
from k1_graph.validation.validator import compile_graph

GENESIS = synthetic_map(3_000.0)
GRAPH = compile_graph(recommend(GENESIS, "hiphop").graph)
SIMULATION = simulate(GRAPH, GENESIS)
texts = st.lists(
    st.sampled_from(
        ["$\\frac{", "$x$", "</title>", "&amp;", "[/x]", "__DATA__", "\x1b[31m", "\ufffe", "\udce9"]
    )
    | st.text(max_size=6),
    max_size=4,
).map("".join)


@pytest.fixture
def simulation() -> Simulation:
    return SIMULATION


def policy(page: str) -> str:
    return re.findall(r'Content-Security-Policy" content="([^"]*)"', page)[0]


def test_the_page_is_self_contained(simulation: Simulation) -> None:
    """No address of another host; the policy forbids the browser to fetch anything."""
    page = render_simulation_html(simulation, GENESIS, title="Song")
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:)", page)
    assert "http" not in page.replace("http-equiv", "")
    assert policy(page).startswith("default-src 'none'")
    assert policy(page).endswith("media-src 'none'")


def test_hostile_titles_and_texts_stay_text(simulation: Simulation) -> None:
    """A title, a section or an address cannot end the element or attribute that contains it."""
    evil = "</script><script>alert(1)</script>__DATA__"
    page = render_simulation_html(
        simulation, GENESIS, title=evil, audio="data:audio/wav;base64,</script>__TITLE__"
    )
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert data["audio"].endswith("</script>__TITLE__")


@given(texts)
@settings(max_examples=30)
def test_a_title_of_any_text_is_shown(title: str) -> None:
    """The page can be written as UTF-8; no character is lost, executed or read as a tag."""
    page = render_simulation_html(SIMULATION, GENESIS, title=title)
    head = page.encode().decode().partition("</title>")[0].partition("<title>")[2]
    assert escape_controls(title) in html.unescape(head)
    assert "<" not in head


@pytest.mark.parametrize(
    "audio",
    [
        "https://a; script-src *",
        "https://a b/c",
        "http://u:p@a/",
        "https://a'/x",
        "http://caf\udce9/",
        "https://[x]/",
    ],
)
def test_an_address_cannot_change_the_policy(audio: str) -> None:
    """Text that is not a valid host is rejected, because it would be part of the policy."""
    with pytest.raises(ValueError, match=r"host|IPv6|address"):
        render_simulation_html(SIMULATION, GENESIS, title="Song", audio=audio)


@pytest.mark.parametrize(
    ("audio", "source"),
    [
        ("data:audio/mpeg;base64,AAAA", "data:"),
        ("https://songs.example/a.mp3?sig=1", "https://songs.example"),
        ("/api/v1/song.mp3", "'self'"),
    ],
)
def test_only_the_song_may_be_loaded(simulation: Simulation, audio: str, source: str) -> None:
    """The policy allows the song's own place and no other."""
    page = render_simulation_html(simulation, GENESIS, title="Song", audio=audio)
    assert policy(page).endswith(f"media-src {source}")


def test_a_script_address_is_no_song(simulation: Simulation) -> None:
    """javascript: is refused."""
    with pytest.raises(ValueError, match="javascript"):
        render_simulation_html(simulation, GENESIS, title="Song", audio="javascript:alert(1)")


def test_a_failing_show_is_announced() -> None:
    """The page warns before playback."""
    strobe = graph_of(
        node("saw", "PositionAccumulator", cycle_length=0.2),
        node("hard", "Contrast", {"x": "saw"}, amount=16.0),
        node("grey", "Hsv", {"v": "hard"}, s=0.0),
        node("fill", "Fill", {"color": "grey"}),
        node("strip", "LedOutput", {"color": "fill"}),
    )
    page = render_simulation_html(simulate(strobe, GENESIS), GENESIS, title="Strobe")
    warning = json.loads(page.split('id="data">')[1].split("</script>")[0])["warning"]
    assert "5 times" in warning
    assert "the node saw" in warning


def test_the_svg_shows_every_node_and_every_edge() -> None:
    """Well-formed, one box a node, one arrow an edge."""
    root = ET.fromstring(draw_graph_svg(GRAPH))
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert set(GRAPH.nodes) <= texts
    arrows = [path for path in root.iter("{http://www.w3.org/2000/svg}path") if path.get("marker-end")]
    assert len(arrows) == GRAPH.flow().number_of_edges()


def test_boxes_do_not_overlap_and_arrows_point_right() -> None:
    """Sources are left of their readers, and boxes do not overlap."""
    layout = lay_out(GRAPH)
    boxes = [layout.positions[name] for name in GRAPH.nodes]
    for index, (x, y) in enumerate(boxes):
        assert not any(abs(x - a) < 168 and abs(y - b) < 48 for a, b in boxes[index + 1 :])
    for source, target in GRAPH.flow().edges:
        assert layout.positions[source][0] < layout.positions[target][0]


def test_the_png_is_valid_and_deterministic() -> None:
    """Two drawings give the same PNG bytes."""
    small = graph_of(
        node("tint", "ParamColor"),
        node("fill", "Fill", {"color": "tint"}),
        node("strip", "LedOutput", {"color": "fill"}),
    )
    picture = draw_graph_png(small)
    assert picture.startswith(b"\x89PNG")
    assert picture == draw_graph_png(small)
