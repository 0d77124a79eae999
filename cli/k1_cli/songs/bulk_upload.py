"""`k1 upload` of several files and folders: a line each, a sum at the end; one bad file does not stop the others."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from k1_cli.api.client import Gateway, JsonObject
from k1_cli.errors import CommandError
from k1_cli.output.console import messages, results
from k1_cli.output.formatting import count_of, one_line
from k1_cli.songs.map_summary import same_recording_line
from k1_cli.songs.upload import Details, existing_note, follow, upload

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
"""What is looked for in a folder; a file that is named is sent whatever it is called."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to send, or what is wrong with a path that was given."""

    path: Path
    problem: str | None = None


@dataclass(slots=True)
class Outcome:
    """What became of one file."""

    path: Path
    accepted: JsonObject | None = None
    problem: str | None = None
    result: JsonObject = field(default_factory=dict[str, object])

    def to_json(self) -> JsonObject:
        """Return one item of `k1 upload --json`."""
        said = {"error": self.problem} if self.problem else {}
        return {"file": str(self.path), **(self.accepted or {}), **self.result, **said}


def find_songs(paths: Iterable[Path]) -> Iterator[Candidate]:
    """Yield the files that are named, and the audio files of the folders and of the folders in them."""
    for path in paths:
        if not path.is_dir():
            yield _candidate(path)
            continue
        found = sorted(_in_folder(path), key=lambda candidate: candidate.path)
        yield from found
        if not found:
            yield Candidate(path, "there is no audio file in this folder")


def upload_all(
    gateway: Gateway, candidates: Sequence[Candidate], details: Details, *, wait: bool, quiet: bool
) -> list[Outcome]:
    """Send all, then follow the analyses if wanted; `quiet` leaves the lines of what went well to the caller."""
    outcomes = [_send(gateway, candidate, details, quiet=quiet) for candidate in candidates]
    if wait:
        for outcome in outcomes:
            if outcome.accepted is not None:
                _follow(gateway, outcome, outcome.accepted, quiet=quiet)
    return outcomes


def sum_up(outcomes: Sequence[Outcome]) -> str:
    """Return `3 songs: 1 queued, 1 existing, 1 failed`, or with which status those ended that were waited for."""
    counts = Counter(_status(outcome) for outcome in outcomes)
    failed = counts.pop("failed", 0)
    parts = [f"{count} {status}" for status, count in counts.items()] + (
        [f"{failed} failed"] if failed else []
    )
    return f"{count_of(len(outcomes), 'song')}: {', '.join(parts)}"


def _status(outcome: Outcome) -> str:
    if outcome.problem or outcome.accepted is None:
        return "failed"
    return str(outcome.result.get("status", outcome.accepted["status"]))


def _in_folder(folder: Path) -> Iterator[Candidate]:
    """Yield what is called like an audio file, and the folders that cannot be read."""
    closed: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=closed.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if Path(name).suffix.lower() in AUDIO_SUFFIXES and not name.startswith("."):
                yield _candidate(Path(parent) / name)
    for error in closed:
        yield Candidate(Path(str(error.filename)), f"this folder cannot be read: {error.strerror}")


def _candidate(path: Path) -> Candidate:
    if path.is_file():
        return Candidate(path)
    return Candidate(path, "this is not a file" if path.exists() else "there is no such file")


def _send(gateway: Gateway, candidate: Candidate, details: Details, *, quiet: bool) -> Outcome:
    outcome = Outcome(candidate.path, problem=candidate.problem)
    if outcome.problem is None:
        try:
            outcome.accepted = upload(gateway, details.song(candidate.path))
            note = existing_note(gateway, details, outcome.accepted)
        except CommandError as error:
            outcome.problem = str(error)
        else:
            about = one_line(candidate.path.stem) + (f": {note}" if note else "")
            line = f"{outcome.accepted['track_id']} {outcome.accepted['status']:<8}  {about}"
            _say(line, quiet=quiet)
    _print_problem(outcome)
    return outcome


def _follow(gateway: Gateway, outcome: Outcome, accepted: JsonObject, *, quiet: bool) -> None:
    try:
        done = follow(gateway, accepted)
    except CommandError as error:
        outcome.problem = str(error)
    else:
        outcome.result, outcome.problem = done.to_json(), done.failure
        if done.failure is None:
            tempo = f"{outcome.result['bpm']:.1f} BPM" if outcome.result["bpm"] else "no tempo"
            line = (
                f"{accepted['track_id']} {done.track['status']:<8}  {tempo}  {one_line(done.track['title'])}"
            )
            _say(line, quiet=quiet)
            for track_id in done.same_recording_as:
                _say(f"  {same_recording_line(track_id)}", quiet=quiet)
    _print_problem(outcome)


def _print_problem(outcome: Outcome) -> None:
    if outcome.problem is not None:
        messages.print(f"{one_line(outcome.path)}: {outcome.problem}", style="red")


def _say(line: str, *, quiet: bool) -> None:
    if not quiet:
        results.print(line)
