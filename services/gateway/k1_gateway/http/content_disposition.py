"""The header Content-Disposition: under which name a client saves a file."""

import re
from typing import Final, Literal
from urllib.parse import quote

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f"*/:<>?\\|]')


def content_disposition(name: str, kind: Literal["attachment", "inline"] = "attachment") -> str:
    """Return the header value for a file: an ASCII name, and the real one where it differs (RFC 6266)."""
    clean = _UNSAFE.sub("_", name).encode("utf-8", "replace").decode().strip(". ") or "song"
    plain = clean.encode("ascii", "replace").decode().replace("?", "_").replace(";", "_").replace("%", "_")
    encoded = f"; filename*=UTF-8''{quote(clean, safe='')}" if plain != clean else ""
    return f'{kind}; filename="{plain}"{encoded}'
