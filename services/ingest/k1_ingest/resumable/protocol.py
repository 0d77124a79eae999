"""Parses and checks the headers of tus 1.0 (https://tus.io/protocols/resumable-upload). Pure."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from k1_contracts.upload_form import sanitize_text
from k1_ingest.errors import UploadRejectedError

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-defer-length,expiration,checksum,termination"
ALGORITHMS: Final = ("sha256", "sha1")
CONTENT_TYPE: Final = "application/offset+octet-stream"
FIELDS: Final = ("title", "artist", "tags", "preset", "priority")
"""Keys of Upload-Metadata that become fields of the form; other keys are ignored, as the protocol demands nothing."""
_FILE_NAMES: Final = ("filename", "name")
_MAX_METADATA: Final = 16 * 1024
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_KEY: Final = re.compile(r"[!-+\--~]+")
"""ASCII without spaces and commas."""


class Checksum:
    """The checksum that a PATCH declares for its body."""

    def __init__(self, algorithm: str, expected: bytes) -> None:
        self._hash: Any = hashlib.new(algorithm, usedforsecurity=False)
        self._expected = expected

    def add(self, chunk: bytes) -> None:
        """Count more bytes of the body."""
        self._hash.update(chunk)

    def require_match(self) -> None:
        """Raise UploadRejectedError `checksum_mismatch` (460) unless the body was what the client meant."""
        if self._hash.digest() != self._expected:
            message = "The bytes differ from their checksum; none were kept. Send them again."
            raise UploadRejectedError("checksum_mismatch", 460, message)


def require_version(headers: Mapping[str, str]) -> None:
    """Raise UploadRejectedError `tus_version` (412) unless the client speaks this version."""
    if headers.get("Tus-Resumable") != VERSION:
        message = f"Send the header Tus-Resumable: {VERSION}; no other version is known here."
        raise UploadRejectedError("tus_version", 412, message)


def parse_length(headers: Mapping[str, str], limit: int) -> int | None:
    """Return Upload-Length; None when the client declares that it will tell later."""
    length = parse_number(headers, "Upload-Length")
    deferred = headers.get("Upload-Defer-Length")
    if deferred not in {None, "1"} or (length is None) == (deferred is None):
        raise _invalid("Send either Upload-Length or Upload-Defer-Length: 1.")
    if length is not None:
        require_size(length, limit)
    return length


def require_size(length: int, limit: int) -> None:
    """Raise UploadRejectedError for a song of 0 bytes or of more than `limit`."""
    if length > limit:
        message = f"The file is larger than {limit / 1_000_000:g} MB; upload a compressed or shorter version."
        raise UploadRejectedError("too_large", 413, message)
    if length == 0:
        raise UploadRejectedError("empty_file", 422, "The file is empty; choose another one.")


def parse_number(headers: Mapping[str, str], name: str) -> int | None:
    """Return a header that holds a count of bytes; None when it is absent."""
    text = headers.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise _invalid(f"{name} must be a whole number of bytes.")
    return int(text)


def parse_offset(headers: Mapping[str, str]) -> int:
    """Return Upload-Offset, which every PATCH has."""
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
        message = f"Send the bytes as Content-Type: {CONTENT_TYPE}."
        raise UploadRejectedError("unsupported_media_type", 415, message)
    offset = parse_number(headers, "Upload-Offset")
    if offset is None:
        raise _invalid("Send Upload-Offset: where these bytes belong.")
    return offset


def parse_checksum(headers: Mapping[str, str]) -> Checksum | None:
    """Return the checksum that Upload-Checksum declares; None when it is absent."""
    text = headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _, value = text.partition(" ")
    if algorithm not in ALGORITHMS:
        raise _invalid(f"Upload-Checksum must begin with one of {', '.join(ALGORITHMS)}.")
    return Checksum(algorithm, _decode(value, "Upload-Checksum"))


def parse_metadata(text: str) -> dict[str, str]:
    """Return the pairs of Upload-Metadata; a key without a value has the text ""."""
    if len(text) > _MAX_METADATA:
        raise _invalid(f"Upload-Metadata may have {_MAX_METADATA} characters.")
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = pair.partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise _invalid("Upload-Metadata must hold pairs of a key, each once, and a value in Base64.")
        try:
            found[key] = _decode(value.strip(), "Upload-Metadata").decode()
        except UnicodeDecodeError as error:
            raise _invalid(f"The value of {key} in Upload-Metadata is not UTF-8.") from error
    return found


def form_fields(metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the fields of the form that the metadata names."""
    return [(name, metadata[name]) for name in FIELDS if name in metadata]


def file_name(metadata: Mapping[str, str]) -> str:
    """Return the name of the file; "" when the metadata has none."""
    return next((sanitize_text(metadata[name]) for name in _FILE_NAMES if metadata.get(name)), "")


def _decode(value: str, header: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(f"{header} holds something that is not Base64.") from error


def _invalid(message: str) -> UploadRejectedError:
    return UploadRejectedError("invalid_upload_header", 400, message)
