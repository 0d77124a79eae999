"""`k1 simulate`, `k1 graph`: the show of a song in a running stack."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.songs import current_version, open_gateway
from k1_cli.console import print_json, results
from k1_cli.errors import CommandError
from k1_cli.options import HomeOption, JsonOption

TrackArgument = Annotated[str, typer.Argument(help="The track, as `k1 tracks` shows it.", metavar="ID")]
VersionOption = Annotated[int | None, typer.Option(help="The current version by default.", min=1)]


def simulate(
    track_id: TrackArgument,
    *,
    graph: Annotated[
        Path | None, typer.Option(help="Try this graph (JSON) instead; nothing is saved.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page that plays the strip in time with the song.")
    ] = None,
    audio_url: Annotated[
        str | None, typer.Option(help="Let the page load the song from here instead of holding it.")
    ] = None,
    version: VersionOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Run a graph over the whole song: cost before and after optimisation, flashes, current.

    Example: ./k1 simulate trk_01JABCDEF --html show.html
    """
    tried = _read_graph(graph) if graph is not None else None
    with open_gateway(home) as gateway:
        track = gateway.track(track_id)["track"]
        number = version or current_version(track)
        done = gateway.simulate(track_id, number, tried)
        if html is not None:
            from k1_cli.page_audio import audio_uri
            from k1_cli.showing import simulation_page

            genesis, key = gateway.genesis(track_id, number), track["audio"]["key"]
            seconds = genesis["global_metrics"]["duration_ms"] / 1000
            page = simulation_page(
                gateway,
                done,
                tried or gateway.graph(track_id, number),
                genesis,
                title=track["title"],
                audio=audio_url or audio_uri(key, _audio(home, key), seconds),
            )
            _write(html, page.encode())
    print_json(done) if as_json else _print_simulation(done)


def graph(
    track_id: TrackArgument,
    *,
    png: Annotated[Path | None, typer.Option(help="Draw the graph, to this PNG file.")] = None,
    version: VersionOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """The graph of a song: its nodes and the reasons for it, the document itself with --json, or a picture.

    Example: ./k1 graph trk_01JABCDEF --png graph.png
    """
    with open_gateway(home) as gateway:
        number = version or current_version(gateway.track(track_id)["track"])
        document = gateway.graph(track_id, number)
    if png is not None:
        from k1_cli.showing import graph_picture

        _write(png, graph_picture(document))
    if as_json:
        print_json(document)
    elif png is None:
        _print_graph(document)


def _read_graph(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}") from error


def _audio(home: Path, key: str) -> bytes:
    from k1_cli.pictures import fetch_audio
    from k1_cli.running import need_stack

    return fetch_audio(need_stack(home).environment, key)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error


def _print_simulation(done: dict[str, Any]) -> None:
    scale, visual = done["executor_scale"], done["visual_report"]
    same = (
        "the same pixels" if scale["pixels_identical"] else f"{visual['pixelMismatchPct']:g} % pixels differ"
    )
    results.print(
        f"frame: {done['before_ms']:.2f} ms, optimised {done['after_ms']:.2f} ms "
        f"({done['cpu_pct_after']:.1f} % of the budget); {same}"
    )
    results.print(f"nodes: {scale['nodes_before']}, optimised {scale['nodes_after']}")
    for name in ("general", "red"):
        finding = visual["photosensitivity"][name]
        verdict = "passes" if finding["passed"] else "FAILS"
        results.print(
            f"{name} flashes: at most {finding['max_flashes_per_second']:g} a second, {verdict} WCAG 2.3.1",
            style=None if finding["passed"] else "red",
        )
    current = visual["current"]
    results.print(
        f"current: {current['mean_ma'] / 1000:.2f} A on average, {current['peak_ma'] / 1000:.2f} A peak"
    )
    if not done["saved"]:
        results.print("tried only: nothing was saved")


def _print_graph(document: dict[str, Any]) -> None:
    meta = document.get("meta", {})
    results.print(f"{document['name']} ({len(document['nodes'])} nodes)", markup=False)
    if "confidence" in meta:
        results.print(f"preset {meta.get('preset')}, confidence {meta['confidence']}", markup=False)
    for node in document["nodes"]:
        sources = ", ".join(f"{port} from {source}" for port, source in node.get("inputs", {}).items())
        results.print(f"  {node['id']}: {node['type']}{f' ({sources})' if sources else ''}", markup=False)
    for reason in meta.get("reasons", []):
        results.print(f"because: {reason['text']}", markup=False)
