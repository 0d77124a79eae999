"""Analyses a song in this process with a progress bar and writes pictures of its map; for `k1 analyze`."""

from pathlib import Path

from k1_analysis.engine import Analysis, EngineError, Progress, UnknownPresetError, analyse_file, find_preset
from k1_analysis.engine.output.rendering import plot_map, render_clicks, write_beats
from k1_cli.errors import CommandError
from k1_cli.output.console import progress_bar
from k1_cli.output.files import report_written
from k1_cli.output.formatting import readable
from k1_contracts.genesis import GenesisMap

_FULL = 100.0


def analyse(song: Path, preset: str | None) -> Analysis:
    """Analyse one file with a progress bar.

    Raises:
        CommandError: there is no such file or preset, or the file contains no song.
    """
    if not song.is_file():
        raise CommandError(f"there is no file {song}")
    try:
        if preset is not None:
            find_preset(preset)
        with progress_bar() as bar:
            task = bar.add_task("decode", total=_FULL)

            def show(progress: Progress) -> None:
                bar.update(task, description=progress.stage, completed=progress.percent)

            done = analyse_file(song, filename=readable(song.name), preset=preset, progress=show)
            bar.update(task, completed=_FULL)
            return done
    except EngineError as error:
        raise CommandError(f"{song} cannot be analysed: {error.message} ({error.code})") from error
    except UnknownPresetError as error:
        raise CommandError(str(error)) from error


def write_renderings(
    song: Path, genesis: GenesisMap, *, plot: Path | None, click: Path | None, beats: Path | None
) -> None:
    """Write the outputs that have a path: a picture, the song with clicks, the beats as text.

    Raises:
        CommandError: a file cannot be written.
    """
    if plot is not None:
        with report_written(plot):
            plot_map(genesis, song, plot)
    if click is not None:
        with report_written(click):
            render_clicks(song, genesis, click)
    if beats is not None:
        with report_written(beats):
            write_beats(genesis, beats)
