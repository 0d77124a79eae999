"""Splits an event stream into lines as they arrive."""

from collections.abc import Iterable, Iterator


def event_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of an event stream. Only a line feed ends a line: a reason may contain U+2028."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode(errors="replace")
