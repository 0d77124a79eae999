"""`k1 analyze`: the engine in this process, under a progress bar."""

from pathlib import Path

from k1_analysis.engine import EngineError, Progress, UnknownPresetError, analyse_file, find_preset
from k1_cli.console import progress_bar
from k1_cli.errors import CommandError

_FULL = 100.0


def analyse(song: Path, preset: str | None) -> bytes:
    """The Genesis map of one file, as JSON.

    Raises:
        CommandError: there is no such file or preset, or the file holds no song.
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

            return analyse_file(song, filename=song.name, preset=preset, progress=show).genesis_json
    except EngineError as error:
        raise CommandError(f"{song} cannot be analysed: {error.message} ({error.code})") from error
    except UnknownPresetError as error:
        raise CommandError(str(error)) from error
