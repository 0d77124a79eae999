"""The commands without servers: `k1 analyze` and `k1 demo-song`."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

import json
from pathlib import Path
from typing import Annotated

import typer

from k1_cli.commands.common import JsonOption
from k1_cli.errors import CommandError
from k1_cli.output.console import print_json, print_written, results


def demo_song(
    out: Annotated[
        Path, typer.Argument(help="The WAV file to write; its true beats are written beside it as .json.")
    ],
    bpm: Annotated[float, typer.Option(help="Tempo, 60 to 200.")] = 126.0,
    seconds: Annotated[float, typer.Option(help="Length in seconds, rounded to whole bars.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="Each seed gives another song.")] = 1,
) -> None:
    """Write a synthesised, licence-free EDM track whose beats and sections are known exactly.

    Example: ./k1 demo-song demo.wav --bpm 128
    """
    from k1_cli.songs.demo.wav_file import write_demo_song

    if out.suffix.lower() != ".wav":
        raise CommandError(f"{out} must end in .wav, as it is a WAV file that is written")
    try:
        ground_truth = write_demo_song(out, bpm=bpm, seconds=seconds, seed=seed)
    except ValueError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"cannot write {out}: {error.strerror}") from error
    print_written(out)
    print_written(out.with_suffix(".json"))
    results.print(
        f"{ground_truth.duration:.1f} s at {ground_truth.bpm:g} BPM, {len(ground_truth.beats)} beats"
    )


def analyze(
    song: Annotated[Path, typer.Argument(help="An audio file.")],
    *,
    preset: Annotated[str | None, typer.Option(help="edm, rock, orchestral, jazz or hiphop.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the map over the waveform, to this PNG file.")
    ] = None,
    click: Annotated[
        Path | None, typer.Option(help="Write the song with a click on each beat, as WAV.")
    ] = None,
    beats: Annotated[
        Path | None, typer.Option(help="Write one line per beat: seconds, position in the bar.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Analyse a song on this machine without any server; print a summary, or the Genesis map with --json.

    Example: ./k1 analyze song.wav --json > map.json
    """
    from k1_cli.songs.local_analysis import analyse, write_renderings
    from k1_cli.songs.map_summary import print_summary

    analysis = analyse(song, preset)
    write_renderings(song, analysis.genesis, plot=plot, click=click, beats=beats)
    document = json.loads(analysis.genesis_json)
    if as_json:
        print_json(document)
    else:
        print_summary(document)
