"""Files that a command writes because it was asked to: each is named when it is there."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from k1_cli.errors import CommandError
from k1_cli.output.console import print_written


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Name the file when the block has written it.

    Raises:
        CommandError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror or error}") from error
    print_written(path)


def write_output(path: Path, data: bytes) -> None:
    """Write the file and name it; raises as `writing` does."""
    with writing(path):
        path.write_bytes(data)
