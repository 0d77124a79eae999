"""Why an upload was refused, in words for the person who sent it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

RETRY_AFTER_S: Final = 5


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field of the form that cannot be accepted."""

    name: str
    message: str


class UploadRefusedError(Exception):
    """Nothing was accepted.

    Attributes:
        code: stable and machine-readable, such as `unsupported_format`.
        status: the HTTP status that says the same.
        problems: the fields at fault, if it is the form's.
    """

    def __init__(self, code: str, status: int, message: str, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.problems = tuple(problems)


def unsupported_format(seen: str) -> UploadRefusedError:
    return UploadRefusedError(
        "unsupported_format",
        415,
        f"The file is {seen}; upload an MP3, MP2, WAV, AIFF, FLAC, OGG or M4A file.",
    )


def too_large(limit: int) -> UploadRefusedError:
    return UploadRefusedError(
        "too_large",
        413,
        f"The file is larger than {limit / 1_000_000:g} MB; upload a compressed or shorter version.",
    )


def malformed(what: str) -> UploadRefusedError:
    return UploadRefusedError("malformed_upload", 400, f"{what}; send multipart/form-data with a file part.")
