"""The errors with which ingest rejects an upload; each message is for the person who sent it."""

from collections.abc import Sequence
from typing import Final

from k1_contracts.upload_form import FILE_FIELD, FieldFault

RETRY_AFTER_S: Final = 5


class UploadRejectedError(Exception):
    """The upload is rejected, and nothing was stored.

    Attributes:
        code: stable and machine-readable, such as `unsupported_format`.
        status: the HTTP status for the code.
        faults: the fields at fault, when the form is.
    """

    def __init__(self, code: str, status: int, message: str, faults: Sequence[FieldFault] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.faults = tuple(faults)


def unsupported_format(detected: str) -> UploadRejectedError:
    """Return the error for a file of another kind, which the message names."""
    return UploadRejectedError(
        "unsupported_format",
        415,
        f"The file is {detected}; upload an MP3, MP2, WAV, AIFF, FLAC, OGG or M4A file.",
    )


def maintenance() -> UploadRejectedError:
    """Return the error while a backup keeps changes out; the same upload is accepted after it."""
    return UploadRejectedError(
        "maintenance",
        503,
        "A backup is being made, so no song is accepted; send the same upload again in a few seconds.",
    )


def too_large(limit: int) -> UploadRejectedError:
    """Return the error for a file of more than `limit` bytes."""
    return UploadRejectedError(
        "too_large",
        413,
        f"The file is larger than {limit / 1_000_000:g} MB; upload a compressed or shorter version.",
    )


def malformed_form(reason: str) -> UploadRejectedError:
    """Return the error for a body that is not the multipart form of an upload."""
    return UploadRejectedError(
        "malformed_upload", 400, f"{reason}; send multipart/form-data with a {FILE_FIELD} part."
    )
