"""Renders a self-contained web page that plays a simulated strip in time with the song."""

import base64
import html
import json
import re
from importlib import resources
from urllib.parse import urlsplit

from k1_contracts.escaping import escape_controls
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import FlashFinding, Photosensitivity
from k1_graph.limits import FRAME_BUDGET_MS
from k1_graph.reports.simulation import Simulation
from k1_graph.song import key_name

_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")
"""Other characters could end the source in the content security policy and begin another directive."""
_AUDIO_SCHEMES = frozenset({"", "http", "https", "data", "blob"})

Figure = tuple[str, str, str, str]
"""Name, value, note and colour class of the value."""


def render_simulation_html(
    simulation: Simulation, genesis: GenesisMap, *, title: str, audio: str | None = None
) -> str:
    """Return the page as one HTML document that requests nothing but `audio`.

    `audio` is a data URI or a URL of the song; without it the strip plays silently. Open it with `#t=61.2` to begin
    at that second. Raises ValueError for an audio address of another scheme or an odd host.
    """
    data = {
        "duration_ms": genesis.global_metrics.duration_ms,
        "audio": audio,
        "facts": _summarise_song(genesis),
        "sections": [
            {"start_ms": section.start_ms, "end_ms": section.end_ms, "label": section.label}
            for section in genesis.layers.annotations.sections
        ],
        "figures": _figures(simulation),
        "notes": simulation.scale.approximations,
        "warning": _warning(simulation.visual.photosensitivity),
        "preview_png": "data:image/png;base64," + base64.b64encode(simulation.preview_png).decode(),
        "preview_bin": base64.b64encode(simulation.preview_bin).decode(),
    }
    page = resources.files("k1_graph").joinpath("data/simulation.html").read_text(encoding="utf-8")
    # "<" is escaped so that no text of a song can end the script element it stands in.
    embedded = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    replacements = {
        "TITLE": html.escape(escape_controls(title)),
        "MEDIA": _media_source(audio),
        "DATA": embedded,
    }
    # One pass, so that inserted text is not searched for placeholders.
    return re.sub(r"__(TITLE|MEDIA|DATA)__", lambda match: replacements[match[1]], page)


def _media_source(audio: str | None) -> str:
    """Return the source that the content security policy allows for audio."""
    if audio is None:
        return "'none'"
    parts = urlsplit(audio)
    if parts.scheme not in _AUDIO_SCHEMES:
        raise ValueError(f"audio must be a data URI or a URL, not {parts.scheme}:")
    if parts.scheme in {"data", "blob"}:
        return f"{parts.scheme}:"
    if not parts.netloc:
        return "'self'"
    if not _HOST.fullmatch(parts.netloc):
        raise ValueError(
            f"the audio address must name a host by letters, digits, dots and a port, not {parts.netloc}"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _summarise_song(genesis: GenesisMap) -> str:
    metrics = genesis.global_metrics
    minutes, seconds = divmod(round(metrics.duration_ms / 1000.0), 60)
    return f"{minutes}:{seconds:02d} · {metrics.bpm:.1f} BPM · {key_name(genesis)}"


def _figures(simulation: Simulation) -> list[Figure]:
    scale, visual = simulation.scale, simulation.visual
    saved = f"{scale.before_ms:.2f} ms before optimisation, {scale.nodes_after} nodes"
    mismatch = f"{visual.pixel_mismatch_pct:g} % of pixels differ"
    return [
        (
            "Frame time on a K1, estimated",
            f"{scale.after_ms:.2f} ms",
            saved,
            "good" if scale.after_ms <= FRAME_BUDGET_MS else "warn",
        ),
        ("Frame budget used", f"{scale.cpu_pct_after:.1f} %", f"of {FRAME_BUDGET_MS:g} ms", ""),
        _flash_figure("General flashes", visual.photosensitivity.general),
        _flash_figure("Red flashes", visual.photosensitivity.red),
        (
            "Current, at most",
            f"{visual.current.peak_ma / 1000.0:.2f} A",
            f"{visual.current.mean_ma / 1000.0:.2f} A on average, {visual.current.ma_per_led:g} mA a white LED",
            "",
        ),
        (
            "Optimised against plain",
            "identical" if scale.pixels_identical else "different",
            mismatch,
            "good" if scale.pixels_identical else "bad",
        ),
    ]


def _flash_figure(name: str, finding: FlashFinding) -> Figure:
    where = "" if finding.at_ms is None else f", most at {finding.at_ms / 1000.0:.1f} s"
    value = f"{finding.max_flashes_per_second:g} a second"
    return name, value, f"at most 3 pass WCAG 2.3.1{where}", "good" if finding.passed else "bad"


def _warning(check: Photosensitivity) -> str | None:
    if check.passed:
        return None
    worst = check.red if check.general.passed else check.general
    node = f" because of the node {worst.node}" if worst.node else ""
    return (
        f"This show flashes {worst.max_flashes_per_second:g} times in the second from "
        f"{(worst.at_ms or 0.0) / 1000.0:.1f} s{node}. It may harm people with photosensitive epilepsy."
    )
