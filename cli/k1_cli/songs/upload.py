"""`k1 upload`: send a song, follow its analysis, sum up the result."""

import time
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress, TaskID

from k1_cli.api.client import BusyError, Gateway, JsonObject, Song
from k1_cli.errors import CommandError
from k1_cli.output.console import messages, progress_bar
from k1_cli.output.formatting import readable

_FULL = 100.0
_BUSY_PATIENCE_S = 600.0
_LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True)
class Details:
    """What a person says of the songs of one command."""

    title: str | None
    artist: str | None
    tags: tuple[str, ...]
    preset: str | None
    priority: int | None

    def song(self, file: Path) -> Song:
        """Return what goes with a file; without a title its own name."""
        return Song(
            file, self.title or readable(file.stem), self.artist, self.tags, self.preset, self.priority
        )

    def not_in(self, stored: JsonObject) -> list[str]:
        """Return the names of the details that were given and differ from those of the stored track."""
        said = {"title": self.title, "artist": self.artist, "tags": list(self.tags)}
        return [name for name, value in said.items() if value and value != stored.get(name)]


@dataclass(frozen=True)
class Analysed:
    """An upload followed to its end. `genesis` is None when the analysis failed."""

    track: JsonObject
    job: JsonObject
    genesis: JsonObject | None
    elapsed_ms: int
    same_recording_as: list[str]

    def to_json(self) -> JsonObject:
        """The document of `k1 upload --wait --json`."""
        return {
            "track_id": self.job["track_id"],
            "job_id": self.job["job_id"],
            "version": self.job["version"],
            "status": self.track["status"],
            "bpm": self.genesis["global_metrics"]["bpm"] if self.genesis else None,
            "beat_count": len(self.genesis["layers"]["rhythm"]["beat_grid_ms"]) if self.genesis else None,
            "elapsed_ms": self.elapsed_ms,
            "same_recording_as": self.same_recording_as,
        }

    @property
    def failure(self) -> str | None:
        """Why there is no map, in the analysis' own words."""
        if self.genesis is not None:
            return None
        error = self.job.get("error") or {}
        reason = error.get("message", "no reason given")
        return f"the analysis {self.job['status']}: {reason} ({error.get('code', 'unknown')})"


def upload(gateway: Gateway, song: Song) -> JsonObject:
    """Send the file under a progress bar; `{track_id, job_id, status}`.

    A gateway that takes no more at the moment is waited for.

    Raises:
        CommandError: the file cannot be read, or the gateway's own sentence.
    """
    with progress_bar() as progress:
        return _send(gateway, song, progress)


def follow(gateway: Gateway, accepted: JsonObject) -> Analysed:
    """Wait for the map of an accepted song under a progress bar."""
    begun = time.monotonic()
    with progress_bar() as progress:
        bar = progress.add_task("waiting for a worker", total=_FULL)
        job = gateway.wait_for_job(accepted["job_id"], lambda state: _show(progress, bar, state))
        detail = gateway.wait_for_track(accepted["track_id"])
    elapsed_ms = round((time.monotonic() - begun) * 1000)
    completed = job["status"] == "completed"
    genesis = gateway.genesis(accepted["track_id"], job["version"]) if completed else None
    return Analysed(detail["track"], job, genesis, elapsed_ms, detail.get("same_recording_as", []))


def existing_note(gateway: Gateway, details: Details, accepted: JsonObject) -> str | None:
    """Say of bytes that are a track already under which title, and that what was given did not change it."""
    if accepted["status"] != "existing":
        return None
    try:
        stored = gateway.track(accepted["track_id"])["track"]
    except CommandError:  # the catalogue may not have taken it in yet
        return "these bytes are a track already"
    note = f'these bytes are a track already, stored as "{stored["title"]}"'
    ignored = details.not_in(stored)
    if not ignored:
        return note
    given = " and ".join(ignored)
    return f"{note}; the {given} that you gave changed nothing: a stored track cannot be changed yet"


def _send(gateway: Gateway, song: Song, progress: Progress) -> JsonObject:
    deadline = time.monotonic() + _BUSY_PATIENCE_S
    try:
        size = song.file.stat().st_size
        bar = progress.add_task(f"uploading {song.file.name}", total=size)
        while True:
            try:
                accepted = gateway.upload(song, lambda count: progress.advance(bar, count))
            except BusyError as busy:
                if time.monotonic() + busy.retry_after_s > deadline:
                    raise
                messages.print(f"the gateway takes no more for {busy.retry_after_s:g} s: waiting")
                time.sleep(min(busy.retry_after_s, _LONGEST_PAUSE_S))
                progress.reset(bar)
            else:
                progress.update(bar, completed=size)
                return accepted
    except OSError as error:
        raise CommandError(f"cannot read {song.file}: {error.strerror}") from error


def _show(progress: Progress, bar: TaskID, job: JsonObject) -> None:
    ended = job["status"] == "completed"
    stage = job.get("stage") or job["status"]
    progress.update(bar, description=str(stage), completed=_FULL if ended else job["percent"])
