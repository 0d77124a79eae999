"""The commands `k1 simulate` and `k1 graph`: the show of a song in a running stack."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, TrackArgument, VersionOption, open_gateway
from k1_cli.errors import CommandError
from k1_cli.output.console import print_json, results
from k1_cli.output.formatting import count_of


def simulate(
    track: TrackArgument,
    *,
    graph: Annotated[
        Path | None, typer.Option(help="Try this graph (JSON) instead; nothing is saved.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write an HTML page that plays the strip in time with the song.")
    ] = None,
    audio_url: Annotated[
        str | None,
        typer.Option(help="Let the page load the song from this address instead of containing it."),
    ] = None,
    version: VersionOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Run a graph over the whole song: show its cost before and after optimisation, flashes and current.

    Example: ./k1 simulate trk_01JABCDEF --html show.html
    """
    from k1_cli.api.lookup import current_version, find_track
    from k1_cli.output.files import write_output

    tried = _read_graph(graph) if graph is not None else None
    with open_gateway(home) as gateway:
        found = gateway.track(find_track(gateway, track))["track"]
        number = version or current_version(found)
        done = gateway.simulate(found["id"], number, tried)
        if html is not None:
            from k1_cli.songs.page_audio import audio_uri
            from k1_cli.songs.show_page import build_simulation_page

            genesis, key = gateway.genesis(found["id"], number), found["audio"]["key"]
            seconds = genesis["global_metrics"]["duration_ms"] / 1000
            page = build_simulation_page(
                gateway,
                done,
                tried or gateway.graph(found["id"], number),
                genesis,
                title=found["title"],
                audio=audio_url or audio_uri(key, _audio(home, key), seconds),
            )
            write_output(html, page.encode())
    print_json(done) if as_json else _print_simulation(done)


def graph(
    track: TrackArgument,
    *,
    png: Annotated[Path | None, typer.Option(help="Draw the graph, to this PNG file.")] = None,
    version: VersionOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the graph of a song: its nodes and the reasons for them, the document with --json, or a picture.

    Example: ./k1 graph trk_01JABCDEF --png graph.png
    """
    from k1_cli.api.lookup import current_version, find_track

    with open_gateway(home) as gateway:
        found = gateway.track(find_track(gateway, track))["track"]
        document = gateway.graph(found["id"], version or current_version(found))
    if png is not None:
        from k1_cli.output.files import write_output
        from k1_cli.songs.show_page import draw_graph

        write_output(png, draw_graph(document))
    if as_json:
        print_json(document)
    elif png is None:
        _print_graph(document)


def _read_graph(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not JSON: it is not UTF-8 text") from error
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}") from error


def _audio(home: Path, key: str) -> bytes:
    from k1_cli.songs.stored_audio import fetch_audio
    from k1_cli.stack.running_stack import require_stack

    return fetch_audio(require_stack(home).environment, key)


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
        result = "passes" if finding["passed"] else "FAILS"
        results.print(
            f"{name} flashes: at most {finding['max_flashes_per_second']:g} a second, {result} WCAG 2.3.1",
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
    results.print(f"{document['name']} ({count_of(len(document['nodes']), 'node')})")
    if "confidence" in meta:
        results.print(f"preset {meta.get('preset', 'unknown')}, confidence {meta['confidence']}")
    for node in document["nodes"]:
        sources = ", ".join(f"{port} from {source}" for port, source in node.get("inputs", {}).items())
        results.print(f"  {node['id']}: {node['type']}{f' ({sources})' if sources else ''}")
    for reason in meta.get("reasons", []):
        results.print(f"because: {reason['text']}")
