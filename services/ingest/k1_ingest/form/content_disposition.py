"""Parses the names in the Content-Disposition of a part, as browsers, curl and HTTP libraries write them. Pure.

Browsers write a quotation mark as %22 and line breaks as %0D and %0A, and nothing else (WHATWG, multipart/form-data);
some libraries encode other control characters as well. Older clients write a backslash before quotation marks and
backslashes. `name*` holds a character set and percent-encoded bytes (RFC 5987).
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

_PARAMETER: Final = re.compile(
    r""";\s*([!#$%&'+.^_`|~0-9A-Za-z-]+)(\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)("|$)|([^;"]*))""", re.DOTALL
)
_ESCAPED: Final = re.compile(r"\\([\"\\])")
_ENCODED: Final = re.compile(r"%(22|[01][0-9A-Fa-f]|7[Ff])")
_EXTENDED: Final = re.compile(r"([A-Za-z0-9_-]*)'[^']*'(.*)", re.DOTALL)
_CHARSETS: Final = frozenset({"", "utf-8", "iso-8859-1", "us-ascii", "windows-1252"})


def parse_part_names(header: str) -> tuple[str, str]:
    """Return the names of the field and of the file, "" for an absent one. `filename*` has precedence over `filename`."""
    plain: dict[str, str] = {}
    extended: dict[str, str] = {}
    for name, value, is_extended in _parameters(header):
        (extended if is_extended else plain).setdefault(name, value)
    found = plain | extended
    return found.get("name", ""), found.get("filename", "")


def _parameters(header: str) -> Iterator[tuple[str, str, bool]]:
    for match in _PARAMETER.finditer(header):
        name, star, quoted, _, bare = match.groups()
        if not star:
            yield name.lower(), _unquote(quoted) if quoted is not None else bare.strip(), False
        elif (value := _decode_extended(quoted if quoted is not None else bare.strip())) is not None:
            yield name.lower(), value, True


def _unquote(quoted: str) -> str:
    return _ENCODED.sub(lambda match: unquote(match[0]), _ESCAPED.sub(r"\1", quoted))


def _decode_extended(value: str) -> str | None:
    match = _EXTENDED.fullmatch(value)
    if match is None or match[1].lower() not in _CHARSETS:
        return None
    return unquote_to_bytes(match[2]).decode(match[1] or "utf-8", "replace")
