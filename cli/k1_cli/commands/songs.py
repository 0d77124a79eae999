"""`k1 upload`, `k1 tracks`, `k1 genesis`: songs in a running stack."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.console import print_json, results
from k1_cli.errors import CommandError
from k1_cli.options import HomeOption, JsonOption

if TYPE_CHECKING:
    from k1_cli.gateway import Gateway

_PAGE = 50
_ID_WIDTH = 30
"""Ids are to be copied: never cut short."""


def upload(
    song: Annotated[Path, typer.Argument(help="An MP3, MP2, WAV, AIFF, FLAC, OGG or M4A file up to 50 MB.")],
    *,
    title: Annotated[str | None, typer.Option(help="The file's name by default.")] = None,
    artist: Annotated[str | None, typer.Option(help="Who made it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    preset: Annotated[str | None, typer.Option(help="edm, rock, orchestral, jazz or hiphop.")] = None,
    priority: Annotated[int | None, typer.Option(min=1, max=10, help="10 goes first.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the analysis and print a summary.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Send a song to the running stack.

    Example: ./k1 upload song.mp3 --title "My song" --wait
    """
    from k1_cli import uploading
    from k1_cli.gateway import Song
    from k1_cli.summary import print_summary

    if not song.is_file():
        raise CommandError(f"there is no file {song}")
    what = Song(song, title or song.stem, artist, tuple(tag or ()), preset, priority)
    with open_gateway(home) as gateway:
        if not wait:
            accepted = uploading.upload(gateway, what)
            _print(
                accepted, as_json, f"{accepted['track_id']}: {accepted['status']} (job {accepted['job_id']})"
            )
            return
        done = uploading.upload_and_follow(gateway, what)
    if as_json:
        print_json(done.to_json())
    if done.failure is not None:
        raise CommandError(done.failure)
    if done.genesis is not None and not as_json:
        results.print(
            f"{done.job['track_id']} version {done.job['version']} after {done.elapsed_ms / 1000:.1f} s"
        )
        print_summary(done.genesis)
        _print_same(done.same_recording_as)


def tracks(
    track_id: Annotated[str | None, typer.Argument(help="One track in detail.", metavar="[ID]")] = None,
    search: Annotated[str | None, typer.Option(help="In title, artist and tags.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = _PAGE,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the tracks, newest first, or show one.

    Example: ./k1 tracks --search night
    """
    with open_gateway(home) as gateway:
        if track_id is not None:
            detail = gateway.track(track_id)
            print_json(detail) if as_json else _print_detail(detail)
            return
        page = gateway.tracks(limit=limit, **({"search": search} if search else {}))
    print_json(page) if as_json else _print_page(page)


def genesis(
    track_id: Annotated[str, typer.Argument(help="The track, as `k1 tracks` shows it.", metavar="ID")],
    version: Annotated[int | None, typer.Option(help="The current version by default.", min=1)] = None,
    out: Annotated[Path | None, typer.Option(help="Write the map to this JSON file.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the map over the waveform, to this PNG file.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """The Genesis map of a track: to standard output, to a file, or as a picture.

    Example: ./k1 genesis trk_01JABCDEF --plot map.png
    """
    with open_gateway(home) as gateway:
        track = gateway.track(track_id)["track"]
        document = gateway.genesis(track_id, version or current_version(track))
    if out is not None:
        _write(out, json.dumps(document, ensure_ascii=False))
    if plot is not None:
        from k1_cli.pictures import plot_track
        from k1_cli.running import need_stack
        from k1_contracts.genesis import GenesisMap

        plot_track(
            need_stack(home).environment, track["audio"]["key"], GenesisMap.model_validate(document), plot
        )
    if out is None and plot is None:
        print_json(document)


def current_version(track: dict[str, Any]) -> int:
    """The version in use; raises CommandError while there is none."""
    version: int | None = track.get("current_version")
    if version is None:
        raise CommandError(f"{track['id']} has no map yet: its status is {track['status']}")
    return version


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error


def open_gateway(home: Path) -> "Gateway":
    """A client of the stack that runs on this home; raises CommandError when none does."""
    from k1_cli.gateway import Gateway
    from k1_cli.running import need_stack

    return Gateway(need_stack(home).url)


def _print(document: dict[str, Any], as_json: bool, sentence: str) -> None:
    print_json(document) if as_json else results.print(sentence, markup=False)


def _print_page(page: dict[str, Any]) -> None:
    from rich.table import Column, Table

    from k1_cli.summary import clock

    table = Table(
        Column("id", no_wrap=True, min_width=_ID_WIDTH),
        "title",
        "artist",
        "length",
        "BPM",
        "status",
        "preset",
    )
    for track in page["items"]:
        length = clock(track["duration_ms"]) if track.get("duration_ms") else ""
        bpm = f"{track['bpm']:.1f}" if track.get("bpm") else ""
        cells = (
            track["id"],
            track["title"],
            track.get("artist"),
            length,
            bpm,
            track["status"],
            track.get("preset"),
        )
        table.add_row(*(cell or "" for cell in cells))
    results.print(table)
    results.print(f"{len(page['items'])} of {page['total']}")


def _print_same(track_ids: list[str]) -> None:
    for track_id in track_ids:
        results.print(f"the same recording as {track_id} (./k1 tracks {track_id})", markup=False)


def _print_detail(detail: dict[str, Any]) -> None:
    track = detail["track"]
    for name, value in track.items():
        if value not in (None, [], ""):
            results.print(f"{name}: {value}", markup=False)
    _print_same(detail.get("same_recording_as", []))
    for version in detail["versions"]:
        artefacts = ", ".join(a["name"] for a in version["artefacts"] if a["status"] == "present")
        results.print(f"version {version['version']} ({version['created_at']}): {artefacts}", markup=False)
