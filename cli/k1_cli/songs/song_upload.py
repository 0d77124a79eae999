"""Uploads one song and follows its analysis, with progress bars; for `k1 upload`."""

import time
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress, TaskID

from k1_cli.api.client import BusyError, GatewayClient
from k1_cli.api.counted_file import OnBytes
from k1_cli.api.song_files import SongUpload
from k1_cli.errors import CommandError
from k1_cli.json_types import JsonObject
from k1_cli.output.console import messages, progress_bar
from k1_cli.songs.resumable_upload import RESUMABLE_FROM, UploadMemory, upload_resumable

_FULL = 100.0
_BUSY_PATIENCE_S = 600.0
_MAX_PAUSE_S = 60.0


@dataclass(frozen=True)
class SongDetails:
    """The details that a person gave for the songs of one command."""

    title: str | None
    artist: str | None
    tags: tuple[str, ...]
    preset: str | None
    priority: int | None

    def song(self, file: Path) -> SongUpload:
        """Return the upload of a file; without a title, that of its own tags counts, else its name."""
        return SongUpload(file, self.title, self.artist, self.tags, self.preset, self.priority)

    def differing_from(self, stored: JsonObject) -> list[str]:
        """Return the names of the given details that differ from those of the stored track."""
        given = {"title": self.title, "artist": self.artist, "tags": list(self.tags)}
        return [name for name, value in given.items() if value and value != stored.get(name)]


@dataclass(frozen=True)
class AnalysedUpload:
    """An upload whose analysis has ended; `genesis` is None when the analysis failed."""

    track: JsonObject
    job: JsonObject
    genesis: JsonObject | None
    elapsed_ms: int
    same_recording_as: list[str]

    def to_json(self) -> JsonObject:
        """Return the document of `k1 upload --wait --json`."""
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
        """The reason why there is no map, as the analysis reported it; None when there is one."""
        if self.genesis is not None:
            return None
        error = self.job.get("error") or {}
        reason = error.get("message", "no reason given")
        return f"the analysis {self.job['status']}: {reason} ({error.get('code', 'unknown')})"


def upload_song(
    gateway: GatewayClient, song: SongUpload, memory: UploadMemory, progress: Progress
) -> JsonObject:
    """Upload the file with a line of `progress`; return `{track_id, job_id, status}`.

    Waits while the gateway accepts no more uploads. A large file goes on where an earlier command stopped.

    Raises:
        CommandError: the file cannot be read, or the gateway refused, with the gateway's sentence.
    """
    deadline = time.monotonic() + _BUSY_PATIENCE_S
    try:
        size = song.file.stat().st_size
        bar = progress.add_task(f"uploading {song.file.name}", total=size)
        while True:
            try:
                accepted = _send(gateway, song, memory, lambda count: progress.advance(bar, count))
            except BusyError as busy:
                if time.monotonic() + busy.retry_after_s > deadline:
                    raise
                messages.print(f"the gateway takes no more for {busy.retry_after_s:g} s: waiting")
                time.sleep(min(busy.retry_after_s, _MAX_PAUSE_S))
                progress.reset(bar)
            else:
                progress.update(bar, completed=size)
                return accepted
    except OSError as error:
        raise CommandError(f"cannot read {song.file}: {error.strerror}") from error


def follow_analysis(gateway: GatewayClient, accepted: JsonObject) -> AnalysedUpload:
    """Wait for the map of an accepted song with a progress bar."""
    begun = time.monotonic()
    with progress_bar() as progress:
        bar = progress.add_task("waiting for a worker", total=_FULL)
        job = gateway.wait_for_job(accepted["job_id"], lambda state: _show(progress, bar, state))
        detail = gateway.wait_for_track(accepted["track_id"])
    elapsed_ms = round((time.monotonic() - begun) * 1000)
    completed = job["status"] == "completed"
    genesis = gateway.genesis(accepted["track_id"], job["version"]) if completed else None
    return AnalysedUpload(detail["track"], job, genesis, elapsed_ms, detail.get("same_recording_as", []))


def existing_note(gateway: GatewayClient, details: SongDetails, accepted: JsonObject) -> str | None:
    """Return a note where the bytes are a track already: its title, and which given details were ignored.

    Return None for a new track.
    """
    if accepted["status"] != "existing":
        return None
    try:
        stored = gateway.track(accepted["track_id"])["track"]
    except CommandError:  # the catalogue may not know it yet
        return "these bytes are a track already"
    note = f'these bytes are a track already, stored as "{stored["title"]}"'
    ignored = details.differing_from(stored)
    if not ignored:
        return note
    names = " and ".join(ignored)
    return f"{note}; the {names} that you gave changed nothing: a stored track cannot be changed yet"


def _send(gateway: GatewayClient, song: SongUpload, memory: UploadMemory, on_bytes: OnBytes) -> JsonObject:
    if song.file.stat().st_size < RESUMABLE_FROM:
        return gateway.upload(song, on_bytes)
    return upload_resumable(gateway, song, memory, on_bytes)


def _show(progress: Progress, bar: TaskID, job: JsonObject) -> None:
    ended = job["status"] == "completed"
    stage = job.get("stage") or job["status"]
    progress.update(bar, description=str(stage), completed=_FULL if ended else job["percent"])
