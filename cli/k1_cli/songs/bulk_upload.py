"""Uploads several files and folders for `k1 upload`: one line per file, a summary at the end.

A file that fails does not stop the others.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from rich.progress import Progress

from k1_audio.kinds import find_kind
from k1_cli.api.client import GatewayClient
from k1_cli.errors import CommandError
from k1_cli.json_types import JsonObject
from k1_cli.output.console import messages, progress_bar, results
from k1_cli.output.formatting import count_of, one_line
from k1_cli.songs.map_summary import same_recording_line
from k1_cli.songs.resumable_upload import UploadMemory
from k1_cli.songs.song_upload import SongDetails, existing_note, follow_analysis, upload_song

AUDIO_SUFFIXES: Final = frozenset(
    [
        ".aac",
        ".aif",
        ".aiff",
        ".flac",
        ".m4a",
        ".m4b",
        ".mp2",
        ".mp3",
        ".mp4",
        ".oga",
        ".ogg",
        ".opus",
        ".wav",
        ".wave",
    ]
)
"""In a folder, files with these suffixes are sent, and others whose content is audio; a given file is always sent."""


_AT_ONCE: Final = 3
"""Files that are sent at the same time."""


@dataclass(frozen=True, slots=True)
class UploadCandidate:
    """A file to upload, or a path with the problem that prevents it."""

    path: Path
    problem: str | None = None
    is_other: bool = False
    """Whether it is a file in a folder that is no audio."""


@dataclass(slots=True)
class UploadOutcome:
    """The outcome of one file."""

    path: Path
    accepted: JsonObject | None = None
    problem: str | None = None
    result: JsonObject = field(default_factory=dict[str, object])

    def to_json(self) -> JsonObject:
        """Return one item of `k1 upload --json`."""
        error = {"error": self.problem} if self.problem else {}
        return {"file": str(self.path), **(self.accepted or {}), **self.result, **error}


def find_songs(paths: Iterable[Path]) -> Iterator[UploadCandidate]:
    """Yield the given files, and the audio files in the given folders and their sub-folders."""
    for path in paths:
        if not path.is_dir():
            yield _candidate(path)
            continue
        found = sorted(_in_folder(path), key=lambda candidate: candidate.path)
        yield from found
        if all(candidate.is_other for candidate in found):
            yield UploadCandidate(path, "there is no audio file in this folder")


def upload_all(
    gateway: GatewayClient,
    candidates: Sequence[UploadCandidate],
    details: SongDetails,
    memory: UploadMemory,
    *,
    wait: bool,
    quiet: bool,
) -> list[UploadOutcome]:
    """Upload all files, a few at a time, then follow their analyses if `wait`; `quiet` prints problems only."""
    outcomes: list[UploadOutcome] = []
    with progress_bar() as progress, ThreadPoolExecutor(_AT_ONCE, "upload") as threads:

        def send(candidate: UploadCandidate) -> tuple[UploadOutcome, str]:
            return _send(gateway, candidate, details, memory, progress)

        for other in (candidate for candidate in candidates if candidate.is_other):
            if not quiet:
                messages.print(f"{one_line(other.path)}: skipped, this is no audio")
        songs = [candidate for candidate in candidates if not candidate.is_other]
        for outcome, line in threads.map(send, songs):
            outcomes.append(outcome)
            if line:
                _print_line(line, quiet=quiet)
            _print_problem(outcome)
    if wait:
        for outcome in outcomes:
            if outcome.accepted is not None:
                _follow(gateway, outcome, outcome.accepted, quiet=quiet)
    return outcomes


def summarise(outcomes: Sequence[UploadOutcome]) -> str:
    """Return `3 songs: 1 queued, 1 existing, 1 failed`, or the final statuses where the analyses were followed."""
    counts = Counter(_status(outcome) for outcome in outcomes)
    failed = counts.pop("failed", 0)
    parts = [f"{count} {status}" for status, count in counts.items()] + (
        [f"{failed} failed"] if failed else []
    )
    return f"{count_of(len(outcomes), 'song')}: {', '.join(parts)}"


def _status(outcome: UploadOutcome) -> str:
    if outcome.problem or outcome.accepted is None:
        return "failed"
    return str(outcome.result.get("status", outcome.accepted["status"]))


def _in_folder(folder: Path) -> Iterator[UploadCandidate]:
    """Yield the files with an audio suffix, and the folders that cannot be read."""
    unreadable: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                path = Path(parent) / name
                yield _candidate(path) if _is_audio(path) else UploadCandidate(path, is_other=True)
    for error in unreadable:
        yield UploadCandidate(Path(str(error.filename)), f"this folder cannot be read: {error.strerror}")


def _is_audio(path: Path) -> bool:
    if path.suffix.lower() in AUDIO_SUFFIXES:
        return True
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            return find_kind(content) is not None
    except (OSError, ValueError):  # it cannot be read, or it is empty
        return False


def _candidate(path: Path) -> UploadCandidate:
    if path.is_file():
        return UploadCandidate(path)
    return UploadCandidate(path, "this is not a file" if path.exists() else "there is no such file")


def _send(
    gateway: GatewayClient,
    candidate: UploadCandidate,
    details: SongDetails,
    memory: UploadMemory,
    progress: Progress,
) -> tuple[UploadOutcome, str]:
    """Return the outcome of one file and the line to print, "" for a file that failed."""
    outcome = UploadOutcome(candidate.path, problem=candidate.problem)
    if outcome.problem is not None:
        return outcome, ""
    try:
        outcome.accepted = upload_song(gateway, details.song(candidate.path), memory, progress)
        note = existing_note(gateway, details, outcome.accepted)
    except CommandError as error:
        outcome.problem = str(error)
        return outcome, ""
    about = one_line(candidate.path.stem) + (f": {note}" if note else "")
    return outcome, f"{outcome.accepted['track_id']} {outcome.accepted['status']:<8}  {about}"


def _follow(gateway: GatewayClient, outcome: UploadOutcome, accepted: JsonObject, *, quiet: bool) -> None:
    try:
        done = follow_analysis(gateway, accepted)
    except CommandError as error:
        outcome.problem = str(error)
    else:
        outcome.result, outcome.problem = done.to_json(), done.failure
        if done.failure is None:
            tempo = f"{outcome.result['bpm']:.1f} BPM" if outcome.result["bpm"] else "no tempo"
            line = (
                f"{accepted['track_id']} {done.track['status']:<8}  {tempo}  {one_line(done.track['title'])}"
            )
            _print_line(line, quiet=quiet)
            for track_id in done.same_recording_as:
                _print_line(f"  {same_recording_line(track_id)}", quiet=quiet)
    _print_problem(outcome)


def _print_problem(outcome: UploadOutcome) -> None:
    if outcome.problem is not None:
        messages.print(f"{one_line(outcome.path)}: {outcome.problem}", style="red")


def _print_line(line: str, *, quiet: bool) -> None:
    if not quiet:
        results.print(line)
