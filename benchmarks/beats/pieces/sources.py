"""Finds the pieces that a program renders: its folders, and their files, each content once."""

import argparse
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path


def parse_folders(program: str, description: str | None, content: str) -> tuple[Path, list[Path]]:
    """Return the folder for the output, which is made, and the folders to search, from the command line."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("out", type=Path, help="folder for the sound and the annotations")
    parser.add_argument("folders", type=Path, nargs="+", help=f"folders with {content}")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    return chosen.out, chosen.folders


def distinct(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes, str]]:
    """Yield (name, content, SHA-256 in hexadecimal) of the files; of copies only the first."""
    seen: set[str] = set()
    for name, content in files:
        digest = sha256(content).hexdigest()
        if digest not in seen:
            seen.add(digest)
            yield name, content, digest
