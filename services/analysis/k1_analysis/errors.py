"""Why a job ends without a map."""


class JobFailedError(Exception):
    """The job is over: trying again would end the same.

    Attributes:
        code: `decode_failed`, `too_long`, `unsupported`, `audio_missing`, `crashed`, `timed_out`, ...
        stage: where it ended, if known.
        attempts: how many tries it had.
    """

    def __init__(self, code: str, message: str, *, stage: str | None = None, attempts: int = 1) -> None:
        super().__init__(message)
        self.code = code
        self.stage = stage
        self.attempts = attempts
