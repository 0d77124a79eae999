"""Writes the output files of commands and prints the name of each one."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from k1_cli.errors import CommandError
from k1_cli.output.console import print_written


@contextmanager
def report_written(path: Path) -> Generator[None]:
    """Print the name of the file after the block has written it.

    Raises:
        CommandError: the file cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror or error}") from error
    print_written(path)


def write_output(path: Path, data: bytes) -> None:
    """Write the file and print its name; raises as `report_written` does."""
    with report_written(path):
        path.write_bytes(data)
