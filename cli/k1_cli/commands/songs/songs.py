"""The commands `k1 upload`, `k1 tracks` and `k1 genesis`: songs in a running stack."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, TrackArgument, VersionOption, open_gateway
from k1_cli.errors import CommandError
from k1_cli.output.console import messages, print_json, progress_bar, results
from k1_cli.output.hints import k1_command

if TYPE_CHECKING:
    from k1_cli.songs.resumable_upload import UploadMemory
    from k1_cli.songs.song_upload import SongDetails

_PAGE = 50


def upload(
    songs: Annotated[
        list[Path],
        typer.Argument(
            help="MP3, MP2, WAV, AIFF, FLAC, OGG or M4A files of up to 50 MB each, or folders.",
            metavar="SONG",
        ),
    ],
    *,
    title: Annotated[
        str | None,
        typer.Option(help="The title; by default that of the file's tags, else its name; for one file only."),
    ] = None,
    artist: Annotated[str | None, typer.Option(help="The artist.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be repeated.")] = None,
    preset: Annotated[str | None, typer.Option(help="edm, rock, orchestral, jazz or hiphop.")] = None,
    priority: Annotated[int | None, typer.Option(min=1, max=10, help="10 goes first.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the analysis and print a summary.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Upload songs to the running stack. Several songs get one line each; one that fails does not stop the others.

    Example: ./k1 upload song.mp3 --title "My song" --wait
    """
    from k1_cli.songs.song_upload import SongDetails

    details = SongDetails(title, artist, tuple(tag or ()), preset, priority)
    if len(songs) == 1 and not songs[0].is_dir():
        _upload_one(songs[0], details, home, wait=wait, as_json=as_json)
        return
    if title is not None:
        raise typer.BadParameter("a title is for one file; without it each song is called as its file")
    _upload_several(songs, details, home, wait=wait, as_json=as_json)


def _upload_one(song: Path, details: "SongDetails", home: Path, *, wait: bool, as_json: bool) -> None:
    from k1_cli.songs import song_upload
    from k1_cli.songs.map_summary import print_summary

    if not song.is_file():
        raise CommandError(f"there is no file {song}")
    with open_gateway(home) as gateway:
        with progress_bar() as progress:
            accepted = song_upload.upload_song(gateway, details.song(song), _memory(home), progress)
        note = song_upload.existing_note(gateway, details, accepted)
        if not wait:
            note = note or k1_command(f"tracks {accepted['track_id']}") + " shows it"
            _print(accepted, as_json, f"{accepted['track_id']}: {accepted['status']}; {note}")
            return
        if note is not None:
            messages.print(note)
        done = song_upload.follow_analysis(gateway, accepted)
    if as_json:
        print_json(done.to_json())
    if done.failure is not None:
        raise CommandError(done.failure)
    if done.genesis is not None and not as_json:
        results.print(
            f"{done.job['track_id']} version {done.job['version']} after {done.elapsed_ms / 1000:.1f} s"
        )
        print_summary(done.genesis)
        _print_same_recordings(done.same_recording_as)


def _memory(home: Path) -> "UploadMemory":
    from k1_cli.songs.resumable_upload import UploadMemory

    return UploadMemory(home / "uploads.json")


def _upload_several(
    songs: list[Path], details: "SongDetails", home: Path, *, wait: bool, as_json: bool
) -> None:
    from k1_cli.songs.bulk_upload import find_songs, summarise, upload_all

    with open_gateway(home) as gateway:
        outcomes = upload_all(
            gateway, list(find_songs(songs)), details, _memory(home), wait=wait, quiet=as_json
        )
    failed = sum(outcome.problem is not None for outcome in outcomes)
    if as_json:
        items = [outcome.to_json() for outcome in outcomes]
        print_json({"total": len(outcomes), "failed": failed, "items": items})
    else:
        results.print(summarise(outcomes))
    if failed:
        raise typer.Exit(1)


def tracks(
    track: Annotated[
        str | None,
        typer.Argument(help="Show this track: its id, a prefix of it, or its title.", metavar="TRACK"),
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Only tracks with this text in title, artist or tags.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = _PAGE,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the tracks, newest first, or show one.

    Example: ./k1 tracks --search night
    """
    from k1_cli.api.lookup import find_track

    with open_gateway(home) as gateway:
        if track is not None:
            detail = gateway.track(find_track(gateway, track))
            print_json(detail) if as_json else _print_detail(detail)
            return
        page = gateway.tracks(limit=limit, **({"search": search} if search else {}))
    print_json(page) if as_json else _print_page(page)


def genesis(
    track: TrackArgument,
    version: VersionOption = None,
    out: Annotated[Path | None, typer.Option(help="Write the map to this JSON file.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the map over the waveform, to this PNG file.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write the Genesis map of a track to standard output, to a file, or as a picture.

    Example: ./k1 genesis trk_01JABCDEF --plot map.png
    """
    from k1_cli.api.lookup import current_version, find_track
    from k1_cli.output.files import write_output

    with open_gateway(home) as gateway:
        found = gateway.track(find_track(gateway, track))["track"]
        document = gateway.genesis(found["id"], version or current_version(found))
    if out is not None:
        write_output(out, json.dumps(document, ensure_ascii=False).encode())
    if plot is not None:
        from k1_cli.songs.stored_audio import plot_track
        from k1_cli.stack.running_stack import require_stack
        from k1_contracts.genesis import GenesisMap

        plot_track(
            require_stack(home).environment, found["audio"]["key"], GenesisMap.model_validate(document), plot
        )
    if out is None and plot is None:
        print_json(document)


def _print(document: dict[str, Any], as_json: bool, sentence: str) -> None:
    print_json(document) if as_json else results.print(sentence)


def _print_page(page: dict[str, Any]) -> None:
    from k1_cli.output.formatting import count_of
    from k1_cli.output.table import TextTable
    from k1_cli.songs.map_summary import format_time

    table = TextTable(
        ("id", "title", "artist", "length", "BPM", "status", "preset"),
        flexible=("title", "artist", "preset"),
        right_aligned=("length", "BPM"),
    )
    for track in page["items"]:
        length = format_time(track["duration_ms"]) if track.get("duration_ms") else ""
        bpm = f"{track['bpm']:.1f}" if track.get("bpm") else ""
        named = track["id"], track["title"], track.get("artist") or ""
        table.add(*named, length, bpm, track["status"], track.get("preset") or "")
    if not page["items"]:
        results.print(f"no tracks; {k1_command('upload SONG')} sends one")
        return
    results.print(table)
    shown = len(page["items"])
    total = count_of(page["total"], "track")
    results.print(total if shown == page["total"] else f"{shown} of {total}")


def _print_same_recordings(track_ids: list[str]) -> None:
    from k1_cli.songs.map_summary import same_recording_line

    for track_id in track_ids:
        results.print(same_recording_line(track_id))


def _print_detail(detail: dict[str, Any]) -> None:
    from k1_cli.output.formatting import field_lines

    for line in field_lines(detail["track"]):
        results.print(line)
    _print_same_recordings(detail.get("same_recording_as", []))
    for version in detail["versions"]:
        artefacts = ", ".join(a["name"] for a in version["artefacts"] if a["status"] == "present")
        results.print(f"version {version['version']} ({version['created_at']}): {artefacts}")
