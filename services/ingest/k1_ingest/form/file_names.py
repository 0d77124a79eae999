"""Makes the file names of clients safe to store and to show, and derives titles from them. Pure."""

from typing import Final

from k1_contracts.upload_form import sanitize_text

FALLBACK_NAME: Final = "untitled"
_MAX_NAME_BYTES: Final = 200
_MAX_SUFFIX_BYTES: Final = 16


def sanitize_file_name(name: str) -> str:
    """Return the file name without folders and control characters, of 1 to 200 bytes of UTF-8."""
    last = sanitize_text(name).replace("\\", "/").rsplit("/", 1)[-1].strip(". ")
    return _shorten(last) or FALLBACK_NAME


def stem(name: str) -> str:
    """Return the name without its extension; it is never empty for a sanitized name."""
    return _split(name)[0]


def _split(name: str) -> tuple[str, str]:
    head, dot, suffix = name.rpartition(".")
    if not head.strip(". ") or len(suffix.encode()) > _MAX_SUFFIX_BYTES:
        return name, ""
    return head, dot + suffix


def _shorten(name: str) -> str:
    if len(name.encode()) <= _MAX_NAME_BYTES:
        return name
    head, suffix = _split(name)
    room = _MAX_NAME_BYTES - len(suffix.encode())
    return head.encode()[:room].decode("utf-8", "ignore").strip(". ") + suffix
