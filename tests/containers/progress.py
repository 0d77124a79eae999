"""Runs programs and prints what the test does, with the seconds since its start."""

import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LAST_LINES: Final = 30
_LIMIT_S: Final = 1800.0
_began: Final = time.monotonic()


class CommandError(Exception):
    """A program failed; the message has its name and the end of what it printed."""


class StepError(Exception):
    """A step failed; the message names it and says why."""


def say(text: str) -> None:
    """Print one line at once, with the seconds since the start of this process."""
    print(f"[{time.monotonic() - _began:5.0f} s] {text}", flush=True)


@contextmanager
def step(name: str) -> Generator[None]:
    """Print when a step begins and how long it took.

    Raises:
        StepError: something failed in it.
    """
    say(f"{name} …")
    began = time.monotonic()
    try:
        yield
    except (AssertionError, CommandError, OSError) as error:
        raise StepError(f"the step “{name}” failed: {error}") from error
    say(f"{name}: done in {time.monotonic() - began:.0f} s")


def run(
    *command: str | Path,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limit_s: float = _LIMIT_S,
) -> str:
    """Return what a program prints on standard output.

    Raises:
        CommandError: it failed, took too long, or there is no such program.
    """
    arguments = [str(each) for each in command]
    try:
        done = subprocess.run(
            arguments,
            env=environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(f"{arguments[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(arguments)} took longer than {limit_s:g} s") from error
    if done.returncode != 0:
        raise CommandError(
            f"{' '.join(arguments)} exited with {done.returncode}:\n{last_lines(done.stdout + done.stderr)}"
        )
    return done.stdout


def last_lines(text: str, count: int = _LAST_LINES) -> str:
    """Return the end of a text."""
    return "\n".join(text.rstrip().splitlines()[-count:])


def words(items: Sequence[str]) -> str:
    """Return names as a list for people: `none`, `a`, `a, b`."""
    return ", ".join(items) or "none"
