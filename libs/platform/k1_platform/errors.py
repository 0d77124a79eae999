"""Defines the two kinds of error of a message handler: transient and permanent."""


class TransientError(Exception):
    """A dependency failed. The same message may succeed later, so it is delivered again."""


class PermanentError(Exception):
    """The message can never succeed, so it is not delivered again.

    Attributes:
        code: the stable, machine-readable error code, such as `audio_missing`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
