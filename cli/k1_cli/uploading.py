"""`k1 upload`: send a song, follow its analysis, sum up the result."""

import time
from dataclasses import dataclass

from rich.progress import Progress, TaskID

from k1_cli.console import progress_bar
from k1_cli.errors import CommandError
from k1_cli.gateway import Gateway, JsonObject, Song

_FULL = 100.0


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
    """Send the file under a progress bar; `{track_id, job_id, status}`."""
    with progress_bar() as progress:
        return _send(gateway, song, progress)


def upload_and_follow(gateway: Gateway, song: Song) -> Analysed:
    """Send the file and wait for its map, with a bar for the upload and one for the analysis."""
    begun = time.monotonic()
    with progress_bar() as progress:
        accepted = _send(gateway, song, progress)
        bar = progress.add_task("waiting for a worker", total=_FULL)
        job = gateway.wait_for_job(accepted["job_id"], lambda state: _show(progress, bar, state))
        detail = gateway.wait_for_track(accepted["track_id"])
    elapsed_ms = round((time.monotonic() - begun) * 1000)
    completed = job["status"] == "completed"
    genesis = gateway.genesis(accepted["track_id"], job["version"]) if completed else None
    return Analysed(detail["track"], job, genesis, elapsed_ms, detail.get("same_recording_as", []))


def _send(gateway: Gateway, song: Song, progress: Progress) -> JsonObject:
    try:
        size = song.file.stat().st_size
        bar = progress.add_task(f"uploading {song.file.name}", total=size)
        return gateway.upload(song, lambda count: progress.advance(bar, count))
    except OSError as error:
        raise CommandError(f"cannot read {song.file}: {error.strerror}") from error


def _show(progress: Progress, bar: TaskID, job: JsonObject) -> None:
    stage = job.get("stage") or job["status"]
    progress.update(bar, description=str(stage), completed=job["percent"])
