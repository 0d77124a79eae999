"""Two kinds of failure: what may succeed later, and what never will."""


class TransientError(Exception):
    """A dependency failed; the same message may succeed later."""


class PermanentError(Exception):
    """The message cannot succeed however often it is delivered.

    Attributes:
        code: stable and machine-readable, such as `audio_missing`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
