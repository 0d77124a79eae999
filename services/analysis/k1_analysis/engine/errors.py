"""Why a file cannot be analysed."""

from dataclasses import dataclass
from typing import Literal

ErrorCode = Literal["decode_failed", "too_long", "unsupported"]
"""What the engine itself can refuse. Silence and truncation give a map with a warning; crashes, time-outs
and exhausted memory are seen only from outside the process and belong to the worker."""


class EngineError(Exception):
    """The file gives no map and never will with this configuration: do not retry."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message

    def __reduce__(self) -> tuple[type["EngineError"], tuple[ErrorCode, str]]:
        """Pickle both arguments: the error crosses process borders."""
        return type(self), (self.code, self.message)


@dataclass(frozen=True, slots=True)
class MapWarning:
    """Something a person should know before trusting the map."""

    code: str
    message: str
