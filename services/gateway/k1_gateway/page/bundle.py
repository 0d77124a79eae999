"""Reads the built bundle, and chooses the compressed sibling of a file that a browser takes."""

import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from pydantic import TypeAdapter

PRELOADS: Final = "preload.json"
"""Names the files that parts of the page need besides the entry; the build writes it for the gateway."""
_SUFFIXES: Final = {"br": ".br", "gzip": ".gz"}
"""The encodings in the order of preference, and how the siblings' names end."""
_TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}
"""Not from the tables of the machine, which differ."""


@dataclass(frozen=True)
class BundleFile:
    """A file of the bundle with its encodings."""

    media_type: str
    content: bytes
    tag: str
    """Of the content, whatever its encoding."""
    encoded: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """The content by encoding, the preferred one first."""

    def choose(self, accept_encoding: str) -> tuple[str | None, bytes]:
        """Return the encoding that the client prefers of ours, and the bytes; None for the plain content."""
        weights = parse_accept_encoding(accept_encoding)
        best = max(
            self.encoded,
            key=lambda name: weights.get(name, weights.get("*", 0.0)),
            default=None,
        )
        if best is None or weights.get(best, weights.get("*", 0.0)) <= 0:
            return None, self.content
        return best, self.encoded[best]


def parse_accept_encoding(header: str) -> dict[str, float]:
    """Return the weight of each encoding that a client names; what cannot be read counts as refused."""
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        name, _, parameter = part.partition(";")
        key, _, value = parameter.strip().partition("=")
        try:
            weight = float(value) if key == "q" else 1.0
        except ValueError:
            weight = 0.0
        if name.strip():
            weights[name.strip()] = weight
    return weights


def read_bundle() -> dict[str, BundleFile]:
    """Return the files of the bundle by path, for example `assets/index-1a2b.js`; none where it was not built."""
    root = files("k1_gateway").joinpath("web")
    contents = dict(_contents(root, "")) if root.is_dir() else {}
    return {
        path: BundleFile(
            media_type=_media_type(path),
            content=content,
            tag=sha256(content).hexdigest()[:32],
            encoded={
                name: contents[path + suffix]
                for name, suffix in _SUFFIXES.items()
                if path + suffix in contents
            },
        )
        for path, content in contents.items()
        if not path.endswith(tuple(_SUFFIXES.values()))
    }


def read_preloads(bundle: Mapping[str, BundleFile]) -> dict[str, list[str]]:
    """Return the files that a part of the page needs besides the entry, by the name of the part.

    Raises:
        pydantic.ValidationError: the file of the bundle is not what the build writes.
    """
    return TypeAdapter(dict[str, list[str]]).validate_json(bundle[PRELOADS].content)


def _contents(folder: Traversable, prefix: str) -> Iterable[tuple[str, bytes]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _contents(item, f"{prefix}{item.name}/")
        else:
            yield prefix + item.name, item.read_bytes()


def _media_type(path: str) -> str:
    suffix = path[path.rfind(".") :]
    return _TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
