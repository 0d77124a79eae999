"""Errors of the analysis service."""


class JobFailedError(Exception):
    """A job ended without a map, and another try would end in the same way.

    Attributes:
        code: `decode_failed`, `too_long`, `unsupported`, `audio_missing`, `crashed`, `timed_out`, ...
        stage: the stage in which it ended, if known.
        attempts: the number of tries.
    """

    def __init__(self, code: str, message: str, *, stage: str | None = None, attempts: int = 1) -> None:
        super().__init__(message)
        self.code = code
        self.stage = stage
        self.attempts = attempts
