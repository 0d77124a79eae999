"""Errors and warnings of the engine."""

from dataclasses import dataclass
from typing import Literal

ErrorCode = Literal["decode_failed", "too_long", "unsupported"]
"""Reasons for which the engine refuses a file. Silence and truncation give a map with a warning. Crashes, time-outs
and exhausted memory can be detected only outside the process, by the worker."""


class EngineError(Exception):
    """The file gives no map with this configuration, and another try cannot help."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message

    def __reduce__(self) -> tuple[type["EngineError"], tuple[ErrorCode, str]]:
        """Pickle both arguments, because the error is sent between processes."""
        return type(self), (self.code, self.message)


@dataclass(frozen=True, slots=True)
class MapWarning:
    """A warning for the person who uses the map."""

    code: str
    message: str
